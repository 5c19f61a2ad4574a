;; A table that grows to ten million elements, which a memory limit does not see.

(table $spare 1 funcref)

(func $deliver (export "sluice:sink/exporter@0.2.0#deliver")
  (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
  (if (i32.lt_s (table.grow $spare (ref.null func) (i32.const 10000000)) (i32.const 0))
    (then unreachable))
  (i32.const 512))
