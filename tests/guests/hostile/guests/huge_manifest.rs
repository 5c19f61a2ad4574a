//! Describes itself in 100 MB.

use sluice_hostile::*;

struct Guest;

impl Tame for Guest {
    fn describe() -> Manifest {
        let field = |description| Field {
            name: "what".to_owned(),
            type_: FieldType::Text,
            format: String::new(),
            required: false,
            composable: false,
            description,
        };
        Manifest {
            fields: aliases(100, 1 << 20).into_iter().map(field).collect(),
            ..manifest()
        }
    }
}

hostile!(Guest);
