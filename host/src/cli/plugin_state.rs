//! `sluice plugin state`: what an export's plugin remembers, without the texts: they may be anything.

use comfy_table::{CellAlignment, Table, presets};
use sluice::store::Remembered;

use super::args::StateArgs;
use super::exit::Exit;
use super::stores::{grouped, time, with_store};

pub fn state(args: &StateArgs) -> anyhow::Result<Exit> {
    with_store(&args.place, &args.export, |export, store| {
        let remembered = store.remembered()?;
        if args.json {
            let json = serde_json::json!({ "export": export.spec.name(), "state": remembered });
            println!("{json:#}");
        } else if remembered.is_empty() {
            println!("{}: the plugin remembers nothing.", export.spec.name());
        } else {
            println!("{}", export.spec.name());
            print(&remembered);
        }
        Ok(Exit::Fine)
    })
}

fn print(remembered: &[Remembered]) {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["key", "bytes", "written by version", "at"]);
    if let Some(bytes) = table.column_mut(1) {
        bytes.set_cell_alignment(CellAlignment::Right);
    }
    for row in remembered {
        table.add_row([
            row.key.clone(),
            grouped(row.bytes),
            row.plugin_version.clone(),
            time(row.at_ms),
        ]);
    }
    println!("{table}");
}
