//! Names that every program of a language has without asking: no reference to them says anything of a repository.

use std::sync::LazyLock;

use super::super::language::Grammar;
use super::quick::Set;

type Words = Set<&'static str>;

/// By grammar: names used as types, values and plain functions; methods.
static BUILT_IN: LazyLock<Vec<(Words, Words)>> = LazyLock::new(|| {
    let words = |text: &'static str| text.split_whitespace().collect();
    Grammar::ALL
        .iter()
        .map(|grammar| match grammar {
            Grammar::Rust => (words(RUST), words(RUST_METHODS)),
            Grammar::Python => (words(PYTHON), words(PYTHON_METHODS)),
            Grammar::JavaScript | Grammar::TypeScript | Grammar::Tsx => (words(JAVASCRIPT), words(JAVASCRIPT_METHODS)),
            Grammar::Go => (words(GO), Words::default()),
            Grammar::Java => (words(JAVA), Words::default()),
            Grammar::C | Grammar::Cpp => (words(C), Words::default()),
            Grammar::Ruby | Grammar::Bash => (Words::default(), Words::default()),
        })
        .collect()
});

/// Whether `name`, used as a type, a value or a plain function, is built in.
pub fn is_builtin(grammar: Grammar, name: &str) -> bool {
    BUILT_IN[grammar as usize].0.contains(name)
}

/// Whether a method called `name` on who knows what is that of a built-in type, as far as anybody can tell.
pub fn is_common_method(grammar: Grammar, name: &str) -> bool {
    BUILT_IN[grammar as usize].1.contains(name)
}

/// What the standard prelude brings, the primitive types, attributes of the compiler, and words that are no names at all.
const RUST: &str = "\
    AsMut AsRef Box Clone Copy Debug Default Drop Eq Err Extend Fn FnMut FnOnce From FromIterator Hash Into \
    IntoIterator Iterator None Ok Option Ord PartialEq PartialOrd Result Self Send Sized Some String Sync ToOwned \
    ToString TryFrom TryInto Unpin Vec allow as assert assert_eq assert_ne async await bool break cfg cfg_attr \
    char cold concat const continue dbg debug_assert debug_assert_eq debug_assert_ne deny deprecated derive doc \
    drop dyn else enum env eprint eprintln expect extern f32 f64 false file fn for format i128 i16 i32 i64 i8 if \
    ignore impl in include_bytes include_str inline isize let line loop macro_export match matches mod move \
    must_use mut non_exhaustive panic path print println proc_macro pub ref repr return should_panic static str \
    stringify struct test todo track_caller trait true type u128 u16 u32 u64 u8 unimplemented union unreachable \
    unsafe use usize vec warn where while write writeln yield \
";

const RUST_METHODS: &str = "\
    and_then as_bytes as_deref as_mut as_ref as_slice as_str borrow borrow_mut chars clone cloned collect copied \
    enumerate eq err expect filter filter_map fold into into_iter is_err is_none is_ok is_some iter iter_mut map \
    map_err ok ok_or ok_or_else or_else rev to_owned to_string to_vec trim try_into unwrap unwrap_err unwrap_or \
    unwrap_or_default unwrap_or_else zip \
";

const PYTHON: &str = "\
    ArithmeticError AssertionError AttributeError BaseException Ellipsis Exception False FileNotFoundError \
    ImportError IndexError KeyError KeyboardInterrupt LookupError None NotImplemented NotImplementedError OSError \
    PermissionError RuntimeError StopAsyncIteration StopIteration SystemExit TimeoutError True TypeError \
    UnicodeDecodeError UnicodeEncodeError UnicodeError ValueError ZeroDivisionError __file__ __name__ abs aiter \
    all anext any ascii bin bool breakpoint bytearray bytes callable chr classmethod compile complex delattr dict \
    dir divmod enumerate eval exec exit filter float format frozenset getattr globals hasattr hash help hex id \
    input int isinstance issubclass iter len list locals map max memoryview min next object oct open ord pow print \
    property range repr reversed round set setattr slice sorted staticmethod str sum super tuple type vars zip \
";

const PYTHON_METHODS: &str = "\
    append endswith extend format isdigit join lower lstrip replace rsplit rstrip split splitlines startswith \
    strip title upper \
";

const JAVASCRIPT: &str = "\
    Array ArrayBuffer BigInt Boolean Buffer Date Error Exclude Extract Function Infinity Intl JSON Map Math NaN \
    Number Object Omit Partial Pick Promise Proxy RangeError Readonly ReadonlyArray Record Reflect RegExp Required \
    ReturnType Set String Symbol TypeError Uint8Array WeakMap WeakSet clearInterval clearTimeout console document \
    exports globalThis isNaN module parseFloat parseInt process queueMicrotask require setImmediate setInterval \
    setTimeout undefined window \
";

const JAVASCRIPT_METHODS: &str = "\
    bind charAt charCodeAt concat endsWith every filter findIndex flat flatMap forEach hasOwnProperty includes \
    indexOf join lastIndexOf map padEnd padStart pop push reduce replace reverse shift slice some sort splice \
    split startsWith substring then toLowerCase toString toUpperCase trim unshift \
";

const GO: &str = "\
    any append bool byte cap clear close comparable complex complex128 complex64 copy delete error false float32 \
    float64 imag int int16 int32 int64 int8 iota len make max min new nil panic print println real recover rune \
    string true uint uint16 uint32 uint64 uint8 uintptr \
";

const JAVA: &str = "\
    Boolean Byte CharSequence Character Class Comparable Deprecated Double Enum Error Exception Float \
    FunctionalInterface IllegalArgumentException IllegalStateException Integer Iterable Long Math \
    NullPointerException Number Object Override Runnable RuntimeException SafeVarargs Short String StringBuilder \
    SuppressWarnings System Thread Throwable Void var \
";

const C: &str = "\
    FILE NULL abort assert bool calloc exit false fclose fopen fprintf free int16_t int32_t int64_t int8_t \
    intptr_t malloc memcmp memcpy memmove memset nullptr printf ptrdiff_t realloc size_t snprintf sprintf ssize_t \
    std strcmp strcpy strdup string strlen strncmp true uint16_t uint32_t uint64_t uint8_t uintptr_t va_end \
    va_list va_start wchar_t \
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_in_depends_on_the_language() {
        assert!(is_builtin(Grammar::Python, "len") && !is_builtin(Grammar::Rust, "len"));
        assert!(is_builtin(Grammar::Go, "append") && is_builtin(Grammar::Tsx, "Promise"));
        assert!(is_common_method(Grammar::Rust, "unwrap") && !is_common_method(Grammar::Go, "unwrap"));
    }
}
