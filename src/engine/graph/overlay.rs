//! Links that agents and people made, over what documents say by themselves.

use super::{Graph, NodeId, Overlay, Slot};

impl Graph {
    pub(super) fn lay(&mut self, slot: Slot, overlay: Option<Overlay>) {
        self.lift(slot);
        let Some(overlay) = overlay else { return };
        for end in [&overlay.from, &overlay.to] {
            self.overlaid.entry(end.clone()).or_default().push(slot);
        }
        self.overlays.insert(slot, overlay);
    }

    pub(super) fn lift(&mut self, slot: Slot) {
        let Some(old) = self.overlays.remove(&slot) else { return };
        for end in [old.from, old.to] {
            if let Some(slots) = self.overlaid.get_mut(&end) {
                slots.retain(|other| *other != slot);
                if slots.is_empty() {
                    self.overlaid.remove(&end);
                }
            }
        }
    }

    /// Links at a node: the document that states each, the link, and the node at its other end.
    pub(super) fn overlays_at(&self, node: NodeId) -> Vec<(Slot, &Overlay, NodeId)> {
        if self.overlaid.is_empty() {
            return Vec::new();
        }
        let Some(address) = self.address(node) else { return Vec::new() };
        let slots = self.overlaid.get(&address).map(Vec::as_slice).unwrap_or_default();
        let ends = slots.iter().filter_map(|slot| {
            let overlay = self.overlays.get(slot)?;
            let other = if overlay.from == address { &overlay.to } else { &overlay.from };
            Some((*slot, overlay, self.find(other)?))
        });
        ends.collect()
    }

    /// The document that states a link, by its address, and what it states.
    pub fn overlay(&self, origin: u32) -> Option<(&str, &Overlay)> {
        Some((&*self.held(origin)?.uri, self.overlays.get(&origin)?))
    }

    /// Addresses of the documents that state a link between two nodes.
    pub fn overlays_between(&self, from: &str, to: &str) -> Vec<(&str, &Overlay)> {
        let slots = self.overlaid.get(from).map(Vec::as_slice).unwrap_or_default();
        let stated = slots.iter().filter_map(|slot| self.overlay(*slot));
        stated.filter(|(_, overlay)| overlay.from == from && overlay.to == to).collect()
    }
}
