//! Words that destinations name things by and say how it went with: they are nobody's in particular, and a
//! plugin decides by them. Pure.
//!
//! The list has no word that people are called by, like `may`, `mark` or `will`; a word that a row of the call
//! has is a member's all the same, and is not looked for here.

use std::sync::LazyLock;

use super::words::Words;

const PLAIN: &str = "
a about above accept accepted access account action active add added after again all allowed already an and
answer any api are argument array as at attempt attribute attributes audience authorization available
bad batch be because before below between body boolean both bulk but by
call can cannot changed changes check client code column columns completed conflict connection contact contacts
content contract count counts created csv current cursor custom customer customers
data date decimal delete deleted denied description destination detail details different does domain done
duplicate duplicates
each email empty end ended endpoint entries entry error errors event events exceeded exist existing exists
expected expired export
fail failed failure failures false field fields file files finished first for forbidden format found from
gateway get gone got
had has have header headers host http https
id identifier identifiers identities identity ids if import imported imports in inactive index info input
insert inserted integer internal into invalid is it item items its
job jobs json
key keys kind known
label large last later length less level limit limits line lines link links list log long longer lost
malformed many match maximum member members message messages meta method minimum missing more must
name names new next no none nor not null number numbers
object of off offset ok on one only operation or order other out over
page pages parameter params part parts partial path payload pending permission please plugin position post
present problem problems processed processing profile profiles progress property put
query queue queued
range rate read ready reason reasons received record records ref refused reject rejected rejections request
requests required resource response result results retry row rows running
same schema scheduled see seen send sent server service session set setting settings short size skipped
some start started state status step string submitted succeed succeeded success successful successes summary
system
table task tasks temporary text than that the their then there these this throttled time timeout timestamp title
to token too total trailing true try type
unauthorized unavailable unchanged unexpected unique unknown unprocessable unsupported until update updated
upload url usage user users utc
valid validation value values version
wait warning warnings was were what when where which while with within without wrong
yes yet you your
accept age alive allow cache charset control cookie disposition encoding etag expires keep language location
meta modified options origin policy ratelimit remaining reset security strict trace transfer transport utf vary x";

/// Them.
pub(super) fn plain() -> &'static Words {
    static WORDS: LazyLock<Words> = LazyLock::new(|| {
        let mut words = Words::default();
        words.add_names(PLAIN);
        words
    });
    &WORDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_destination_says_is_plain_and_what_people_are_called_is_not() {
        for word in ["status", "Errors", "REJECTED", "id", "retry"] {
            assert!(plain().has(word), "{word}");
        }
        for name in ["Ada", "May", "Will", "Mark", "Grace", "Bill", "Rob", "17"] {
            assert!(!plain().has(name), "{name}");
        }
    }
}
