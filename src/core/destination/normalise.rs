//! Personal data as Meta matches it: normalised, then SHA-256 of the UTF-8. Source of the rules: Meta's guide to customer
//! file custom audiences, September 2026; every text is brought to Unicode NFC first.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;
use sha2::{Digest as _, Sha256};
use unicode_normalization::UnicodeNormalization as _;

/// A SHA-256.
pub type Digest = [u8; 32];

/// The SHA-256 of a text.
#[must_use]
pub fn digest(text: &str) -> Digest {
    Sha256::digest(text.as_bytes()).into()
}

/// A value that is a digest already: 64 hexadecimal digits.
#[must_use]
pub fn hashed_before(value: &str) -> Option<Digest> {
    let value = value.trim().as_bytes();
    if value.len() != 64 {
        return None;
    }
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(value.chunks_exact(2)) {
        *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
    }
    Some(digest)
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Appends the digits of a digest in lower case.
pub fn push_hex(out: &mut String, digest: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in digest {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

/// Composed, in lower case, without white space around.
fn lower(value: &str) -> String {
    let value = value.trim();
    let composed: Cow<'_, str> =
        if value.is_ascii() { Cow::Borrowed(value) } else { Cow::Owned(value.nfc().collect()) };
    // Lower-casing can leave a sequence that composes again (İ becomes i with a dot above).
    if composed.is_ascii() { composed.to_ascii_lowercase() } else { composed.to_lowercase().nfc().collect() }
}

/// `None` for an empty text.
fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// An e-mail address: trimmed, lower case, with exactly one `@` inside.
#[must_use]
pub fn email(value: &str) -> Option<String> {
    let value = lower(value);
    let (name, host) = value.split_once('@')?;
    let good = !name.is_empty() && !host.is_empty() && !host.contains('@') && !value.contains(char::is_whitespace);
    good.then_some(value)
}

/// A phone number with its country code: 7 to 15 digits and no leading zeros.
#[must_use]
pub fn phone(value: &str) -> Option<String> {
    let digits: String = value.nfkc().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_start_matches('0');
    (7..=15).contains(&digits.len()).then(|| digits.to_owned())
}

/// `f` or `m`.
#[must_use]
pub fn gender(value: &str) -> Option<String> {
    match lower(value).as_str() {
        "f" | "female" => Some("f".to_owned()),
        "m" | "male" => Some("m".to_owned()),
        _ => None,
    }
}

/// Year, month and day of birth of `YYYY-MM-DD`, perhaps with a time behind it.
#[must_use]
pub fn birth(value: &str) -> Option<[String; 3]> {
    let value = value.trim();
    let (date, rest) = (value.get(..10)?, value.get(10..)?);
    if !(rest.is_empty() || rest.starts_with(['T', ' '])) || !date.is_ascii() {
        return None;
    }
    let digits =
        date.char_indices().all(|(place, c)| if place == 4 || place == 7 { c == '-' } else { c.is_ascii_digit() });
    if !digits || chrono::NaiveDate::parse_from_str(date, "%Y-%m-%d").is_err() {
        return None;
    }
    Some([date[..4].to_owned(), date[5..7].to_owned(), date[8..].to_owned()])
}

/// A first or last name: lower case, without white space and punctuation; letters of any script stay.
#[must_use]
pub fn name(value: &str) -> Option<String> {
    #[expect(clippy::expect_used, reason = "the pattern is a constant, and a test uses it")]
    static REMOVED: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"[\s\p{P}\p{S}\p{Cc}]").expect("a constant pattern"));
    let value = lower(value);
    if value.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return some(value);
    }
    some(REMOVED.replace_all(&value, "").into_owned())
}

/// A city: of the lower-cased name what is in `a-z0-9`.
#[must_use]
pub fn city(value: &str) -> Option<String> {
    some(lower(value).chars().filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit()).collect())
}

/// A state: for the United States and Canada its two letters, elsewhere as a city. Where the country is not known, the
/// name or code of a state of these two is taken for it.
#[must_use]
pub fn state(value: &str, country: Option<&str>) -> Option<String> {
    let plain = city(value)?;
    let codes = match country {
        Some("us") => &[US][..],
        Some("ca") => &[CANADA],
        None => &[US, CANADA],
        Some(_) => &[],
    };
    for (code, name) in codes.iter().copied().flatten() {
        if plain == *code || plain == *name {
            return Some((*code).to_owned());
        }
    }
    Some(plain)
}

/// A postal code: lower case, without spaces and dashes; of the United States the first five.
#[must_use]
pub fn zip(value: &str, country: Option<&str>) -> Option<String> {
    let value: String = lower(value).chars().filter(|c| !c.is_whitespace() && !"-‐‑‒–—−".contains(*c)).collect();
    if country == Some("us") && value.len() > 5 && value.is_ascii() {
        return Some(value[..5].to_owned());
    }
    some(value)
}

/// A country: its ISO 3166-1 alpha-2 code in lower case.
#[must_use]
pub fn country(value: &str) -> Option<String> {
    let value = lower(value);
    (value.len() == 2 && COUNTRIES.split(' ').any(|code| code == value)).then_some(value)
}

/// A mobile advertiser id: in lower case.
#[must_use]
pub fn madid(value: &str) -> Option<String> {
    some(lower(value))
}

/// Codes of ISO 3166-1.
const COUNTRIES: &str = "ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bl bm bn bo bq br bs bt bv \
bw by bz ca cc cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg eh er es et fi fj fk fm fo fr ga \
gb gd ge gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh ki \
km kn kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me mf mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na \
nc ne nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se sg sh si sj sk \
sl sm sn so sr ss st sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug um us uy uz va vc ve vg vi vn vu wf ws \
ye yt za zm zw";

/// Codes and names of states, the names as [`city`] makes them.
type States = &'static [(&'static str, &'static str)];

const US: States = &[
    ("al", "alabama"),
    ("ak", "alaska"),
    ("az", "arizona"),
    ("ar", "arkansas"),
    ("ca", "california"),
    ("co", "colorado"),
    ("ct", "connecticut"),
    ("de", "delaware"),
    ("dc", "districtofcolumbia"),
    ("fl", "florida"),
    ("ga", "georgia"),
    ("hi", "hawaii"),
    ("id", "idaho"),
    ("il", "illinois"),
    ("in", "indiana"),
    ("ia", "iowa"),
    ("ks", "kansas"),
    ("ky", "kentucky"),
    ("la", "louisiana"),
    ("me", "maine"),
    ("md", "maryland"),
    ("ma", "massachusetts"),
    ("mi", "michigan"),
    ("mn", "minnesota"),
    ("ms", "mississippi"),
    ("mo", "missouri"),
    ("mt", "montana"),
    ("ne", "nebraska"),
    ("nv", "nevada"),
    ("nh", "newhampshire"),
    ("nj", "newjersey"),
    ("nm", "newmexico"),
    ("ny", "newyork"),
    ("nc", "northcarolina"),
    ("nd", "northdakota"),
    ("oh", "ohio"),
    ("ok", "oklahoma"),
    ("or", "oregon"),
    ("pa", "pennsylvania"),
    ("ri", "rhodeisland"),
    ("sc", "southcarolina"),
    ("sd", "southdakota"),
    ("tn", "tennessee"),
    ("tx", "texas"),
    ("ut", "utah"),
    ("vt", "vermont"),
    ("va", "virginia"),
    ("wa", "washington"),
    ("wv", "westvirginia"),
    ("wi", "wisconsin"),
    ("wy", "wyoming"),
    ("pr", "puertorico"),
    ("gu", "guam"),
    ("vi", "virginislands"),
    ("as", "americansamoa"),
    ("mp", "northernmarianaislands"),
];

const CANADA: States = &[
    ("ab", "alberta"),
    ("bc", "britishcolumbia"),
    ("mb", "manitoba"),
    ("nb", "newbrunswick"),
    ("nl", "newfoundlandandlabrador"),
    ("ns", "novascotia"),
    ("nt", "northwestterritories"),
    ("nu", "nunavut"),
    ("on", "ontario"),
    ("pe", "princeedwardisland"),
    ("qc", "quebec"),
    ("qc", "qubec"),
    ("sk", "saskatchewan"),
    ("yt", "yukon"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(digest: &Digest) -> String {
        let mut text = String::new();
        push_hex(&mut text, digest);
        text
    }

    #[test]
    fn the_vectors_of_the_contract() {
        assert_eq!(
            hex(&digest(&email(" Mary@Example.com ").unwrap())),
            "f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79"
        );
        let number = "1ef970831d7963307784fa8688e8fce101a15685d62aa765fed23f3a2c576a4e";
        assert_eq!(hex(&digest(&phone("15559876543").unwrap())), number);
        assert_eq!(hex(&digest(&phone("+1 (555) 987-6543").unwrap())), number);
        assert_eq!(city("São Paulo").as_deref(), Some("sopaulo"));
        assert_eq!(city("Sa\u{303}o Paulo").as_deref(), Some("sopaulo"));
        assert_eq!(name("O'Connor").as_deref(), Some("oconnor"));
        assert_eq!(zip("K1A 0A6", Some("ca")).as_deref(), Some("k1a0a6"));
        assert_eq!(zip("94035-1234", Some("us")).as_deref(), Some("94035"));
        assert_eq!(zip("94035-1234", Some("de")).as_deref(), Some("940351234"));
        assert_eq!(name("José-Luis").as_deref(), Some("joséluis"));
        assert_eq!(name("Jose\u{301}-Luis").as_deref(), Some("joséluis"));
    }

    #[test]
    fn what_is_no_value_is_left_out() {
        for wrong in ["", "@", "a@", "@b", "a@b@c", "a b@c", "mary"] {
            assert_eq!(email(wrong), None, "{wrong}");
        }
        for wrong in ["", "123456", "1234567890123456", "000000", "call me"] {
            assert_eq!(phone(wrong), None, "{wrong}");
        }
        assert_eq!(phone("0049 30 1234567").as_deref(), Some("49301234567"));
        for wrong in ["1990-02-30", "90-02-03", "1990-2-3", "1990-02-03x", "", "02/03/1990"] {
            assert_eq!(birth(wrong), None, "{wrong}");
        }
        assert_eq!(birth("1990-02-03T00:00:00Z").unwrap(), ["1990", "02", "03"].map(str::to_owned));
        assert_eq!(gender("unknown"), None);
        assert_eq!(gender("FEMALE").as_deref(), Some("f"));
        assert_eq!(country("Germany"), None);
        assert_eq!(country("xx"), None);
        assert_eq!(country(" US ").as_deref(), Some("us"));
        assert_eq!(city("北京"), None);
        assert_eq!(name("北京 · 王").as_deref(), Some("北京王"));
        assert_eq!(name("देवी").as_deref(), Some("देवी"));
        assert_eq!(name("..."), None);
    }

    #[test]
    fn states_by_name_or_code() {
        assert_eq!(state("California", Some("us")).as_deref(), Some("ca"));
        assert_eq!(state("ca", Some("us")).as_deref(), Some("ca"));
        assert_eq!(state("Québec", Some("ca")).as_deref(), Some("qc"));
        assert_eq!(state("New York", None).as_deref(), Some("ny"));
        assert_eq!(state("Bayern", Some("de")).as_deref(), Some("bayern"));
        assert_eq!(state("Georgia", Some("ge")).as_deref(), Some("georgia"));
    }

    #[test]
    fn digests_pass_through() {
        let digits = "F1904CF1A9D73A55FA5DE0AC823C4403DED71AFD4C3248D00BDCD0866552BB79";
        assert_eq!(hex(&hashed_before(digits).unwrap()), digits.to_lowercase());
        assert_eq!(hashed_before("f19"), None);
        assert_eq!(hashed_before(&"g".repeat(64)), None);
    }
}
