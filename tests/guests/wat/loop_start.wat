;; Never comes back from being instantiated, which comes before every call.

(func $start
  (loop $again (br $again)))

(start $start)
