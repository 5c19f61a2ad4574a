//! The destination's fields: names, rules and what a person should know about them.

use sluice_guest::FieldType;

/// The form of custom names, as the manifest states it.
pub const CUSTOM_FORM: &str = "custom_attributes.<group>.<name>";

/// What holds for the values of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// An address; an identity.
    Email,
    /// The customer's own key; an identity.
    RecordId,
    /// Text composed of several sources.
    Name,
    /// Any text.
    Text,
    /// A country, sent as its code.
    Country,
    /// A calendar date.
    Date,
    /// A year of birth.
    Year,
    /// `m` or `f`.
    Gender,
    /// A yes or no that may come as a word.
    Consent,
    /// Whatever the account defined.
    Custom,
    /// Whether the member is in the audience: made here, never mapped.
    Membership,
}

impl Rule {
    /// Whether it tells one user from another.
    pub fn is_identity(self) -> bool {
        matches!(self, Self::Email | Self::RecordId)
    }

    /// Whether several sources can be mapped to it.
    pub fn is_composable(self) -> bool {
        self == Self::Name
    }

    /// The type that the catalogue shows.
    pub fn field_type(self) -> FieldType {
        match self {
            Self::Date => FieldType::Date,
            Self::Year => FieldType::Integer,
            Self::Consent | Self::Membership => FieldType::Boolean,
            Self::Email
            | Self::RecordId
            | Self::Name
            | Self::Text
            | Self::Country
            | Self::Gender
            | Self::Custom => FieldType::Text,
        }
    }
}

/// One field that every account has.
#[derive(Debug)]
pub struct Known {
    /// What to map to, and the key under which it is sent unless an option says otherwise.
    pub name: &'static str,
    /// What holds for its values.
    pub rule: Rule,
    /// How it is written, empty where there is nothing to add.
    pub format: &'static str,
    /// What it means and what it causes.
    pub description: &'static str,
}

const fn known(
    name: &'static str,
    rule: Rule,
    format: &'static str,
    description: &'static str,
) -> Known {
    Known {
        name,
        rule,
        format,
        description,
    }
}

/// All fields that every account has.
pub const CATALOGUE: [Known; 17] = [
    known(
        "email",
        Rule::Email,
        "name@example.com",
        "The user's email address; tells one user from another, in any case of letters",
    ),
    known(
        "record_id",
        Rule::RecordId,
        "",
        "Your own key for the user; tells one user from another, compared exactly",
    ),
    known(
        "full_name",
        Rule::Name,
        "",
        "First and last name in one; map several sources to join them with a space",
    ),
    known(
        "address1",
        Rule::Text,
        "",
        "First line of the postal address",
    ),
    known(
        "address2",
        Rule::Text,
        "",
        "Second line of the postal address",
    ),
    known("city", Rule::Text, "", "City"),
    known("state", Rule::Text, "", "State or region"),
    known("zip", Rule::Text, "", "Postal code"),
    known("phone", Rule::Text, "", "Phone number"),
    known(
        "country",
        Rule::Country,
        "US, UK or an ISO 3166 two-letter code",
        "Country; two- and three-letter codes and English names are understood",
    ),
    known("birthday", Rule::Date, "YYYY-MM-DD", "Date of birth"),
    known(
        "birth_year",
        Rule::Year,
        "1900 to 2100",
        "Year of birth, where the date is not known",
    ),
    known(
        "gender",
        Rule::Gender,
        "m or f",
        "Gender; `male` and `female` are understood",
    ),
    known(
        "registration_source",
        Rule::Text,
        "",
        "Where the user signed up; used in segments",
    ),
    known(
        "account_created_on",
        Rule::Date,
        "YYYY-MM-DD",
        "When the account was created; Retention Science's file rules call it required",
    ),
    known(
        "date_unsubscribed",
        Rule::Date,
        "YYYY-MM-DD",
        "When the user unsubscribed. ANY date unsubscribes the user",
    ),
    known(
        "accepts_marketing",
        Rule::Consent,
        "true or false",
        "Whether the user wants marketing mail; sent only if mapped",
    ),
];

/// The field of this name.
pub fn by_name(name: &str) -> Option<&'static Known> {
    CATALOGUE.iter().find(|field| field.name == name)
}

/// Group and name of a custom attribute, if `name` has the form [`CUSTOM_FORM`].
pub fn custom_parts(name: &str) -> Option<(&str, &str)> {
    let (group, name) = name.strip_prefix("custom_attributes.")?.split_once('.')?;
    let is_word = |word: &str| {
        !word.is_empty()
            && word
                .chars()
                .all(|c| c.is_alphanumeric() || c == '_' || c == '-')
    };
    (is_word(group) && is_word(name)).then_some((group, name))
}

/// Whether a byte may stand in a plain word: ASCII letters, digits, `_` and `-`.
pub fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// The name in the catalogue that somebody who wrote `name` may have meant.
pub fn nearest(name: &str) -> Option<&'static str> {
    let flat: String = name
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect();
    // Words that are no misspelling, but are what other systems call the same thing.
    let usual = match flat.as_str() {
        "firstname" | "lastname" | "givenname" | "familyname" | "surname" | "fname" | "lname" => {
            Some("full_name")
        }
        "mail" | "emailaddress" => Some("email"),
        "userid" | "customerid" | "id" | "externalid" => Some("record_id"),
        "postcode" | "postalcode" | "zipcode" => Some("zip"),
        "region" | "province" => Some("state"),
        "dateofbirth" | "dob" | "birthdate" => Some("birthday"),
        "createdat" | "created" | "signupdate" => Some("account_created_on"),
        "sex" => Some("gender"),
        _ => None,
    };
    usual.or_else(|| {
        CATALOGUE
            .iter()
            .map(|field| {
                (
                    strsim::jaro_winkler(&flat, &field.name.replace('_', "")),
                    field.name,
                )
            })
            .filter(|(likeness, _)| *likeness >= 0.85)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, name)| name)
    })
}
