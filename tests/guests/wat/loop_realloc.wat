;; Never comes back when it is asked for room for a long text: before the call as such begins.

(func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
  (if (i32.ge_u (local.get 3) (i32.const 64)) (then (loop $again (br $again))))
  (i32.const 65536))
