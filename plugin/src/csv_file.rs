//! The staged file: CSV with one header and one line a user.

use std::cell::RefCell;
use std::io::{self, Write};

use sluice_guest::{Batch, Problem, Staged, Staging};

use crate::row::{self, Identities};
use crate::session::Session;

/// Lets the CSV writer append to the answer while rows are accepted and rejected in between.
struct Out<'a>(&'a RefCell<Staging>);

impl Write for Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Turns a batch into the bytes that it adds to a file which is `offset` bytes long so far. The
/// header comes first if `offset` is 0.
pub fn stage(batch: &Batch, offset: u64, session: &Session) -> Result<Staged, Problem> {
    let Session { plan, options } = session;
    let rows = session.rows(batch)?;
    let staging = RefCell::new(Staging::default());
    {
        let mut staging = staging.borrow_mut();
        staging
            .bytes
            .reserve(batch.cells.len() + batch.ends.len() + 256);
    }
    let mut csv = csv::Writer::from_writer(Out(&staging));
    if offset == 0 {
        csv.write_record(plan.targets.iter().map(|target| target.header()))
            .map_err(broken)?;
        csv.flush().map_err(broken)?;
    }
    staging.borrow_mut().begin();

    let mut values = Vec::with_capacity(plan.targets.len());
    let mut identities = Identities::default();
    for row in rows.iter() {
        // A row is read whole before its first byte is written, so a rejected one leaves none.
        if let Err(refusal) = row::read(row, plan, options, &mut values) {
            staging
                .borrow_mut()
                .reject(refusal.field.as_deref(), &refusal.reason);
            continue;
        }
        for value in &values {
            csv.write_field(value.as_text()).map_err(broken)?;
        }
        csv.write_record(None::<&[u8]>).map_err(broken)?;
        csv.flush().map_err(broken)?;
        staging.borrow_mut().accept(identities.of(plan, &values));
    }
    drop(csv);
    Ok(staging.into_inner().finish())
}

fn broken(error: impl std::fmt::Display) -> Problem {
    Problem::Fatal(format!("the CSV can not be written: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{awkward, batch, golden, session};
    use proptest::prelude::*;
    use sluice_guest::Kind;

    #[test]
    fn awkward_rows_become_the_golden_file() {
        let (names, rows) = awkward();
        let session = session(&names, r#"{"exit": "attribute"}"#);
        let staged = stage(&batch(&rows), 0, &session).unwrap();
        golden("awkward.csv", &staged.bytes);
        let mut ids = String::new();
        let mut start = 0;
        for (row, end) in staged.identity_rows.iter().zip(&staged.identity_ends) {
            ids += &format!("{row} {}\n", &staged.identities[start..*end as usize]);
            start = *end as usize;
        }
        for rejection in &staged.rejected {
            let field = rejection.field.as_deref().unwrap_or("-");
            ids += &format!(
                "{} rejected, {field}: {}\n",
                rejection.row, rejection.reason
            );
        }
        golden("awkward.identities.txt", ids.as_bytes());
    }

    #[test]
    fn an_empty_batch_gives_the_header_at_offset_0_and_nothing_later() {
        let session = session(
            &["email", "accepts_marketing"],
            r#"{"accepts_marketing_key": "ok"}"#,
        );
        let first = stage(&batch(&[]), 0, &session).unwrap();
        assert_eq!(
            (first.bytes.as_slice(), first.start),
            (b"email,ok\n".as_slice(), 9)
        );
        assert!(first.ends.is_empty() && first.rejected.is_empty());
        let later = stage(&batch(&[]), 9, &session).unwrap();
        assert_eq!((later.bytes.len(), later.start), (0, 0));
    }

    #[test]
    fn invalid_values_reject_the_row_or_are_omitted_but_identities_always_reject() {
        let names = ["email", "gender"];
        let rows = [
            vec![(Kind::Text, "a@b.co"), (Kind::Text, "secret")],
            vec![(Kind::Text, "secret"), (Kind::Text, "m")],
        ];
        let strict = stage(&batch(&rows), 1, &session(&names, "{}")).unwrap();
        assert_eq!(
            (strict.bytes.len(), strict.ends.as_slice()),
            (0, [0, 0].as_slice())
        );
        let fields: Vec<_> = strict.rejected.iter().map(|r| r.field.as_deref()).collect();
        assert_eq!(fields, [Some("gender"), Some("email")]);
        assert!(strict.rejected.iter().all(|r| !r.reason.contains("secret")));

        let lenient = session(&names, r#"{"invalid_values": "omit"}"#);
        let lenient = stage(&batch(&rows), 1, &lenient).unwrap();
        assert_eq!(lenient.bytes, b"a@b.co,\n");
        assert_eq!((lenient.ends, lenient.rejected[0].row), (vec![8, 8], 1));
    }

    #[test]
    fn a_single_empty_column_is_no_row() {
        let staged = stage(
            &batch(&[vec![(Kind::Text, " ")]]),
            1,
            &session(&["email"], "{}"),
        )
        .unwrap();
        assert_eq!(staged.rejected.len(), 1);
        assert!(
            staged.rejected[0]
                .reason
                .contains("`record_id` is not mapped")
        );
    }

    #[test]
    fn a_batch_that_breaks_the_contract_is_fatal() {
        let mut broken = batch(&[vec![(Kind::Text, "a@b.co")]]);
        broken.ends.clear();
        let answer = stage(&broken, 0, &session(&["email"], "{}"));
        assert!(matches!(answer, Err(Problem::Fatal(_))));
    }

    fn kind() -> impl Strategy<Value = Kind> {
        prop::sample::select(vec![
            Kind::Absent,
            Kind::Null,
            Kind::Text,
            Kind::Integer,
            Kind::Decimal,
            Kind::Boolean,
            Kind::Timestamp,
            Kind::Json,
        ])
    }

    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            "[a-c]{1,3}@[a-c]{1,3}\\.co",
            "[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:]{0,8}Z?)?",
            "[\\[{]\"?[a-z,:\"]{0,8}[\\]}]",
            "-?[0-9.e]{1,6}",
            Just("true".to_owned()),
        ]
    }

    proptest! {
        #[test]
        fn no_input_panics_and_the_offsets_always_fit(
            rows in prop::collection::vec(prop::collection::vec((kind(), text()), 9), 0..6),
            offset in 0_u64..2,
            omit in any::<bool>(),
        ) {
            let names = [
                "email", "record_id", "full_name", "full_name", "country", "birthday",
                "gender", "accepts_marketing", "custom_attributes.resci.x",
            ];
            let invalid = if omit { "omit" } else { "reject" };
            let options = format!(
                r#"{{"invalid_values": "{invalid}", "date_formats": ["%m/%d/%Y"], "exit": "attribute"}}"#
            );
            let session = session(&names, &options);
            let rows: Vec<Vec<_>> = rows
                .iter()
                .map(|row| row.iter().map(|(kind, text)| (*kind, text.as_str())).collect())
                .collect();
            let staged = stage(&batch(&rows), offset, &session).unwrap();

            prop_assert_eq!(staged.ends.len(), rows.len());
            prop_assert_eq!(staged.start > 0, offset == 0);
            let mut end = staged.start;
            let rejected: Vec<_> = staged.rejected.iter().map(|r| r.row).collect();
            for (row, next) in staged.ends.iter().enumerate() {
                prop_assert_eq!(*next == end, rejected.contains(&(row as u32)));
                let line = &staged.bytes[end as usize..*next as usize];
                let mut reader =
                    csv::ReaderBuilder::new().has_headers(false).from_reader(line);
                let read: Vec<_> = reader.records().map(Result::unwrap).collect();
                prop_assert_eq!(read.len(), usize::from(*next != end));
                prop_assert!(read.iter().all(|record| record.len() == 9));
                end = *next;
            }
            prop_assert_eq!(end as usize, staged.bytes.len());
            prop_assert_eq!(staged.identity_ends.len(), staged.identity_rows.len());
            let named = staged.identity_ends.last().copied().unwrap_or(0);
            prop_assert_eq!(named as usize, staged.identities.len());
            prop_assert!(staged.identity_rows.iter().all(|row| !rejected.contains(row)));
        }
    }
}
