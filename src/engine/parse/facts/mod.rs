//! What a document says of the graph: its definitions, and the names that it uses.
//!
//! Nothing is resolved here: a name is given as it is written, with what stands before it, and the graph finds out
//! later what it means. What can only be seen here is put in its place: the type of a local variable for its name, the
//! type of an `impl` for `Self`. Names of the language and of a function's own variables are left out.

mod acts;
mod binds;
mod builtins;
mod calls;
mod define;
mod forms;
mod imports;
mod locals;
mod marks;
mod modules;
mod prose;
mod quick;
mod sheet;
mod tested;
mod tokens;
mod types;
mod values;
mod walk;

pub use prose::{Mark, Marks, Markup, of_prose};
pub use walk::{Code, facts as of_code};

#[cfg(test)]
pub(crate) mod packages_tests;
#[cfg(test)]
mod reference_tests;
#[cfg(test)]
mod tests;
