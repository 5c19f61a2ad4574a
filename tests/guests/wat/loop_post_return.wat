;; Answers, and never comes back from cleaning up behind its answer.

(func $clean_deliver (export "cabi_post_sluice:sink/exporter@0.2.0#deliver") (param i32)
  (loop $again (br $again)))
