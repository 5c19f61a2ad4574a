//! `sluice receipt`: what an export has done, for whoever has to vouch for it.

use comfy_table::{Table, presets};
use sluice::store::{Did, ExportReceipt};

use super::args::ReceiptArgs;
use super::exit::Exit;
use super::stores::{grouped, time, with_store};

pub fn receipt(args: &ReceiptArgs) -> anyhow::Result<Exit> {
    with_store(&args.place, &args.export, |export, store| {
        let receipt = store.receipt()?;
        if args.json {
            let mut json = serde_json::to_value(&receipt)?;
            json["export"] = export.spec.name().into();
            println!("{json:#}");
        } else {
            println!("{}", export.spec.name());
            print(&receipt);
        }
        Ok(Exit::Fine)
    })
}

fn print(receipt: &ExportReceipt) {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["outcome", "backfill", "live"]);
    let (backfill, live) = (&receipt.counts.backfill, &receipt.counts.live);
    for (name, backfill, live) in [
        ("received", backfill.received, live.received),
        ("delivered", backfill.delivered, live.delivered),
        ("quarantined", backfill.quarantined, live.quarantined),
        ("superseded", backfill.superseded, live.superseded),
        ("dropped", backfill.dropped, live.dropped),
        ("pending", backfill.pending, live.pending),
    ] {
        table.add_row([name.to_owned(), grouped(backfill), grouped(live)]);
    }
    println!("{table}");
    if !receipt.jobs.is_empty() {
        let mut table = Table::new();
        table.load_style(presets::UTF8_HORIZONTAL_ONLY);
        let mut header = vec![
            "import job of file",
            "rows",
            "bytes",
            "submitted",
            "times",
            "ended",
            "delivered",
            "refused",
        ];
        // Few destinations say what they did.
        let told = receipt.jobs.iter().any(|job| job.did != Did::default());
        if told {
            header.extend(["created", "updated", "unchanged"]);
        }
        table.set_header(header);
        for job in &receipt.jobs {
            let number = |n: Option<u64>| n.map_or("-".to_owned(), grouped);
            let moment = |ms: Option<i64>| ms.map_or("-".to_owned(), time);
            let mut row = vec![
                job.file.to_string(),
                grouped(job.rows),
                grouped(job.bytes),
                moment(job.submitted_ms),
                job.submissions.to_string(),
                moment(job.ended_ms),
                number(job.delivered),
                number(job.refused),
            ];
            if told {
                row.extend([job.did.created, job.did.updated, job.did.unchanged].map(number));
            }
            table.add_row(row);
        }
        println!("{table}");
    }
    println!("checksum {}", receipt.checksum);
    match receipt.adds_up {
        true => println!("Every row that was received is accounted for."),
        false => println!("THE COUNTS DO NOT ADD UP: please report it."),
    }
}
