//! Names that are bound where the walk is: parameters, variables, type variables, with their types where these are
//! evident; and the fields of the document's types.

use super::quick::Map;

/// What a local name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding<'a> {
    /// Its type, if that is evident.
    pub r#type: Option<&'a str>,
    /// The call that gave it, as it is written for a receiver, where its type is not evident.
    pub made: Option<String>,
    /// Whether it is a name of a function's own, which is no business of the graph.
    pub local: bool,
}

/// The names bound at the place of the walk. Leaving a scope costs as much as was bound in it.
#[derive(Debug, Default)]
pub struct Locals<'a> {
    bound: Map<&'a str, Binding<'a>>,
    /// What each binding took the place of, the last one last.
    before: Vec<(&'a str, Option<Binding<'a>>)>,
    fields: Map<(&'a str, &'a str), &'a str>,
}

impl<'a> Locals<'a> {
    /// What `name` is bound to.
    pub fn get(&self, name: &str) -> Option<&Binding<'a>> {
        self.bound.get(name)
    }

    /// The type of what `name` is bound to.
    pub fn type_of(&self, name: &str) -> Option<&'a str> {
        self.get(name)?.r#type
    }

    /// Whether `name` is a function's own.
    pub fn is_local(&self, name: &str) -> bool {
        self.get(name).is_some_and(|binding| binding.local)
    }

    /// Binds `name` until [`Self::leave`].
    pub fn bind(&mut self, name: &'a str, binding: Binding<'a>) {
        let before = self.bound.insert(name, binding);
        self.before.push((name, before));
    }

    /// A mark to give to [`Self::leave`].
    pub fn enter(&self) -> usize {
        self.before.len()
    }

    /// Forgets what was bound since `mark`.
    pub fn leave(&mut self, mark: usize) {
        while self.before.len() > mark {
            match self.before.pop() {
                Some((name, Some(binding))) => self.bound.insert(name, binding),
                Some((name, None)) => self.bound.remove(name),
                None => break,
            };
        }
    }

    /// Notes the type of a field. What was said first holds.
    pub fn set_field(&mut self, owner: &'a str, field: &'a str, r#type: &'a str) {
        self.fields.entry((owner, field)).or_insert(r#type);
    }

    /// The type of a field.
    pub fn field(&self, owner: &str, field: &str) -> Option<&'a str> {
        self.fields.get(&(owner, field)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaving_a_scope_brings_back_what_was_bound_before() {
        let mut locals = Locals::default();
        let of = |r#type, local| Binding { r#type, made: None, local };
        locals.bind("a", of(Some("Outer"), false));
        let mark = locals.enter();
        locals.bind("a", of(None, true));
        locals.bind("a", of(Some("Inner"), true));
        locals.bind("b", of(None, true));
        assert_eq!(locals.type_of("a"), Some("Inner"));
        assert!(locals.is_local("a"));
        locals.leave(mark);
        assert_eq!(locals.get("a"), Some(&of(Some("Outer"), false)));
        assert_eq!(locals.get("b"), None);
    }
}
