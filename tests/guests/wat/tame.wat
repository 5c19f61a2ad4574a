;; What a guest in WAT is made of: a plugin that delivers everything and does nothing, written against
;; the canonical ABI. A guest's file holds its own version of some of these blocks (told apart by
;; their names), and adds others; so it shows only what is bad about it.

(memory $memory (export "memory") 16)

;; Where the next argument of a call is put.
(global $top (mut i32) (i32.const 65536))

(func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
  (local $at i32)
  (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
  (global.set $top (i32.add (local.get $at) (local.get 3)))
  (local.get $at))

(func $describe (export "sluice:sink/exporter@0.2.0#describe") (result i32)
  (i32.const 64))

;; 512 to 1023 are zero: a result without a problem, and lists without items.
(func $open (export "sluice:sink/exporter@0.2.0#open")
  (param i32 i32 i32 i32 i32 i32) (result i32)
  (i32.const 512))

(func $check (export "sluice:sink/exporter@0.2.0#check") (result i32)
  (i32.const 512))

(func $stage (export "sluice:sink/exporter@0.2.0#stage")
  (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64) (result i32)
  unreachable)

(func $submit (export "sluice:sink/exporter@0.2.0#submit")
  (param i32 i32 i64 i64 i32 i32 i32 i32 i32) (result i32)
  unreachable)

(func $poll (export "sluice:sink/exporter@0.2.0#poll") (param i32 i32) (result i32)
  unreachable)

;; Parameter 1 is the address of the cells' text.
(func $deliver (export "sluice:sink/exporter@0.2.0#deliver")
  (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
  (i32.const 512))

;; The manifest: name, version, description, auth-methods, endpoint, routes, fields, custom-fields
;; (none), options-schema, limits (8 rows of `deliver`), extra.
(data $manifest (i32.const 64) (i32 1024 7 1056 5 0 0 192 1 1216 23 288 1 0 0 0 0 0 1312 2 0
                                    0 0 0 0 0 8 0 0))
;; An auth-method: id, label, its one credential and its one header.
(data $method (i32.const 192) (i32 1088 3 1088 3 224 1 256 1))
(data $credential (i32.const 224) (i32 1120 7 1088 3 0 0))
(data $header (i32.const 256) (i32 1152 13 1184 16))
;; A route: method, path, purpose.
(data $route (i32.const 288) (i32 1248 4 1280 6 0 0))
(data $t0 (i32.const 1024) "hostile")
(data $t1 (i32.const 1056) "0.1.0")
(data $t2 (i32.const 1088) "key")
(data $t3 (i32.const 1120) "api-key")
(data $t4 (i32.const 1152) "Authorization")
(data $t5 (i32.const 1184) "ApiKey {api-key}")
(data $t6 (i32.const 1216) "https://hostile.invalid")
(data $t7 (i32.const 1248) "POST")
(data $t8 (i32.const 1280) "/users")
(data $t9 (i32.const 1312) "{}")

;; What cleans up behind an answer: nothing has to.
(func $clean_describe (export "cabi_post_sluice:sink/exporter@0.2.0#describe") (param i32))
(func $clean_open (export "cabi_post_sluice:sink/exporter@0.2.0#open") (param i32))
(func $clean_check (export "cabi_post_sluice:sink/exporter@0.2.0#check") (param i32))
(func $clean_stage (export "cabi_post_sluice:sink/exporter@0.2.0#stage") (param i32))
(func $clean_submit (export "cabi_post_sluice:sink/exporter@0.2.0#submit") (param i32))
(func $clean_poll (export "cabi_post_sluice:sink/exporter@0.2.0#poll") (param i32))

(func $clean_deliver (export "cabi_post_sluice:sink/exporter@0.2.0#deliver") (param i32))
