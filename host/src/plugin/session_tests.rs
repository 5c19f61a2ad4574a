use wasmtime::component::{Component, Linker};

use super::*;
use crate::capability::LogSink;

/// What ends a call of a component that does this. It has a memory `$large` of at most 1,000 pages, one
/// `$small` of at most 2, a table, and a resource: `$hoard` makes a thousand handles of it.
async fn run(code: &str, limits: Limits) -> CallError {
    let text = format!(
        r#"(component
          (type $mine (resource (rep i32)))
          (core func $new (canon resource.new $mine))
          (core module $inner
            (import "" "new" (func $new (param i32) (result i32)))
            (memory $large 1 1000)
            (memory $small 1 2)
            (table 1 funcref)
            (func $hoard (local $n i32)
              (loop $more
                (drop (call $new (i32.const 1)))
                (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (br_if $more (i32.lt_u (local.get $n) (i32.const 1000)))))
            (func (export "run") {code} unreachable))
          (core instance $instance
            (instantiate $inner (with "" (instance (export "new" (func $new))))))
          (func (export "run") (canon lift (core func $instance "run"))))"#
    );
    let engine = wasmtime::Engine::new(&super::super::compile::config(1 << 20)).unwrap();
    let component = Component::new(&engine, wat::parse_str(text).unwrap()).unwrap();
    let grant = Grant::none(LogSink::keeping(&limits));
    let mut store = Guarded::store(&engine, grant, limits);
    let linker = Linker::new(&engine);
    let instance = linker.instantiate_async(&mut store, &component).await;
    let instance = instance.unwrap();
    let run = instance.get_typed_func::<(), ()>(&mut store, "run");
    let error = run.unwrap().call_async(&mut store, ()).await.unwrap_err();
    why(&store, "deliver", &error)
}

/// Asks for more memory than there is, until it is refused.
const REFUSED: &str = "(loop $more
    (br_if $more (i32.ne (memory.grow $large (i32.const 100)) (i32.const -1))))";

#[tokio::test]
async fn what_ends_a_call_is_put_down_to_the_limit_that_was_reached() {
    let limits = Limits {
        memory_bytes: 16 << 20,
        resources: 500,
        table_elements: 1_000,
        ..Limits::default()
    };
    for (what, code, expected) in [
        ("memory", REFUSED.to_owned(), Some(("memory_mib", 16))),
        (
            "a table",
            "(drop (table.grow (ref.null func) (i32.const 2000)))".to_owned(),
            Some(("table_elements", 1_000)),
        ),
        (
            "handles",
            "(call $hoard)".to_owned(),
            Some(("resources", 500)),
        ),
        (
            "handles after memory",
            format!("{REFUSED} (call $hoard)"),
            Some(("resources", 500)),
        ),
        (
            "a table after memory",
            format!("{REFUSED} (drop (table.grow (ref.null func) (i32.const 2000)))"),
            Some(("table_elements", 1_000)),
        ),
        (
            "nothing after memory that it did without",
            format!("{REFUSED} (drop (memory.grow $large (i32.const 1)))"),
            None,
        ),
        (
            "nothing that the component has bounded by itself",
            "(drop (memory.grow $small (i32.const 10000)))".to_owned(),
            None,
        ),
    ] {
        let limit = match run(&code, limits).await {
            CallError::Limit(reached) => Some((reached.limit, reached.value)),
            CallError::Trap { .. } => None,
            other => panic!("{what}: {other:?}"),
        };
        assert_eq!(limit, expected, "{what}");
    }
}
