//! Folders: nodes that come with their first file and go with their last.

use petgraph::Direction;
use petgraph::stable_graph::NodeIndex;

use super::put::structure;
use super::{Graph, NOWHERE, Node};
use crate::base::SourceId;
use crate::model::{EdgeKind, NodeKind};

impl Graph {
    /// The node of a folder, made with those above it.
    pub(super) fn folder_node(&mut self, source: SourceId, path: &str) -> NodeIndex<u32> {
        let key = (source, self.names.intern(path));
        if let Some(known) = self.folders.get(&key) {
            return *known;
        }
        let name = self.names.intern(path.rsplit('/').next().unwrap_or(path));
        let node = self.add(Node::new(NodeKind::Folder, name, NOWHERE));
        self.folders.insert(key, node);
        self.folder_keys.insert(node, key);
        if !path.is_empty() {
            let above = self.folder_node(source, path.rsplit_once('/').map_or("", |(above, _)| above));
            self.graph.add_edge(above, node, structure(EdgeKind::Contains));
            self.set_parent(node, above);
        }
        node
    }

    /// Removes a folder that holds nothing any more, and those above it that held nothing else.
    pub(super) fn drop_empty_folders(&mut self, folder: Option<NodeIndex<u32>>) {
        let mut next = folder;
        while let Some(folder) = next {
            if self.graph.neighbors_directed(folder, Direction::Outgoing).next().is_some() {
                return;
            }
            next = self.graph.node_weight(folder).map(|node| node.parent).filter(|parent| *parent != folder);
            if let Some(key) = self.folder_keys.remove(&folder) {
                self.folders.remove(&key);
            }
            self.graph.remove_node(folder);
        }
    }
}
