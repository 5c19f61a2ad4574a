//! What members are called and where they live.

pub(crate) const FIRST: [&str; 28] = [
    "Ann", "Bob", "Carla", "Dmitri", "Eve", "Farid", "Grace", "Hugo", "Ines", "Jack", "Keiko",
    "Liam", "Maya", "Noah", "Olga", "Pedro", "Quinn", "Rosa", "Sven", "Tara", "Uma", "Victor",
    "Wendy", "Xavier", "Yara", "Zoe", "Priya", "Tom",
];
pub(crate) const LAST: [&str; 24] = [
    "Smith", "Jones", "Miller", "Garcia", "Berg", "Novak", "Rossi", "Tanaka", "Silva", "Cohen",
    "Khan", "Lee", "Brown", "Dubois", "Jansen", "Kowalski", "Larsen", "Moreau", "Nguyen", "Patel",
    "Quispe", "Romero", "Schmidt", "Young",
];
/// Names that break what only knows letters.
pub(crate) const ODD_FIRST: [&str; 14] = [
    "José",
    "Zoë",
    "Łukasz",
    "Åsa",
    "李",
    "さくら",
    "محمد",
    "שרה",
    "👩‍🚀 Ada",
    "Anna \"Annie\"",
    "Mary, Ann",
    " Ole ",
    "Jean\tPaul",
    "Nguyễn",
];
pub(crate) const ODD_LAST: [&str; 12] = [
    "O'Brien",
    "Müller-Lüdenscheidt",
    "小龍",
    "山田",
    "الأحمد",
    "לוי",
    "Smith, Jr.",
    "van \"der\" Berg",
    "de la\nCruz",
    " Ruiz ",
    "Ødegård 🎿",
    "Çelik",
];
pub(crate) const DOMAINS: [&str; 6] = [
    "example.com",
    "example.org",
    "example.net",
    "mail.example.com",
    "post.example.de",
    "shop-42.example.co.uk",
];
pub(crate) const STREETS: [&str; 10] = [
    "Main St",
    "Oak Avenue",
    "Hauptstraße",
    "Rue de l'Église",
    "Calle \"Mayor\"",
    "Harbour Road, Flat 2",
    "Lange Gasse\nHinterhaus",
    "東京都千代田区",
    "שדרות רוטשילד",
    "Ul. Długa\t7a",
];
pub(crate) const CITIES: [&str; 14] = [
    "New York",
    "Los Angeles",
    "London",
    "Berlin",
    "München",
    "São Paulo",
    "Paris",
    "東京",
    "תל אביב",
    "Kraków",
    " Madrid ",
    "Winston-Salem",
    "Washington, D.C.",
    "'s-Hertogenbosch",
];
pub(crate) const STATES: [&str; 8] = ["CA", "NY", "TX", "Bavaria", "Île-de-France", "WA", "", "SP"];
pub(crate) const POSTAL: [&str; 8] = [
    "10001",
    "02134",
    "SW1A 1AA",
    "80331",
    "75001",
    "100-0001",
    " 28001 ",
    "01310-100",
];
/// Spellings as they are found, each understood by the documented rule for countries.
pub(crate) const COUNTRIES: [&str; 26] = [
    "US",
    "us",
    "usa",
    "USA",
    "United States",
    "united states",
    "United States of America",
    "GB",
    "gbr",
    "uk",
    "UK",
    "United Kingdom",
    "Germany",
    "de",
    "DEU",
    "GERMANY",
    "France",
    "fr",
    "Canada",
    "ca",
    "Japan",
    "JPN",
    "Brazil",
    "Israel",
    " Spain ",
    "nl",
];
pub(crate) const GENDERS: [&str; 9] = [
    "m", "f", "M", "F", "male", "female", "Male", "Female", "FEMALE",
];
pub(crate) const TAGS: [&str; 12] = [
    "loyal",
    "new",
    "big spender",
    "a,b",
    "says \"hi\"",
    "été",
    "返品",
    "🎁",
    "two\nlines",
    "vip-2026",
    "חדש",
    "50%",
];
pub(crate) const LANGUAGES: [&str; 6] = ["en", "de", "pt-BR", "日本語", "he", "fr \"CA\""];
pub(crate) const NO_EMAILS: [&str; 6] = [
    "not-an-email",
    "someone@",
    "@example.com",
    "a b@example.com",
    "two@@example.com",
    "nodot@localhost@x",
];
pub(crate) const NO_DATES: [&str; 6] = [
    "1990-02-30",
    "31/12/1980",
    "unknown",
    "1985-13-01",
    "0000000000",
    "12 May 1990",
];
pub(crate) const NO_JSON: [&str; 5] = [
    "{\"user_id\":\"broken",
    "this is no JSON",
    "{\"user_id\":\"x\",}",
    "}{",
    "{'user_id': 'quotes'}",
];
