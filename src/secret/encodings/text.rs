//! The forms that a secret has in a text that escapes: JSON and HTML.
//!
//! Lives here: what writers of several makes escape, and how; a text in a text. Does not: encodings of bytes (`encodings`).

/// How a writer of JSON escapes. All of them escape quotes, backslashes and control characters.
struct Writer {
    /// Written as `\uXXXX`.
    escapes: fn(char) -> bool,
    /// With upper-case hexadecimal digits.
    is_upper: bool,
    /// `/` is written `\/`.
    slashes: bool,
    /// The usual one of its make: a page of HTML is looked for in what it writes.
    is_usual: bool,
}

const WRITERS: [Writer; 10] = [
    Writer { escapes: |_| false, is_upper: false, slashes: false, is_usual: true },
    Writer { escapes: |_| false, is_upper: false, slashes: true, is_usual: false },
    Writer { escapes: |it| !it.is_ascii(), is_upper: false, slashes: false, is_usual: false },
    // PHP.
    Writer { escapes: |it| !it.is_ascii(), is_upper: false, slashes: true, is_usual: true },
    Writer {
        escapes: |it| !it.is_ascii() || "<>&'\"".contains(it),
        is_upper: true,
        slashes: true,
        is_usual: false,
    },
    // Go, Gson, .NET.
    Writer { escapes: |it| "<>&".contains(it), is_upper: false, slashes: false, is_usual: true },
    Writer { escapes: |it| "<>&='".contains(it), is_upper: false, slashes: false, is_usual: false },
    Writer {
        escapes: |it| !it.is_ascii() || "\"&'+<>`".contains(it),
        is_upper: true,
        slashes: false,
        is_usual: true,
    },
    // Whoever wants to be sure.
    Writer { escapes: |it| !it.is_ascii_alphanumeric(), is_upper: false, slashes: false, is_usual: false },
    Writer { escapes: |it| !it.is_ascii_alphanumeric(), is_upper: true, slashes: false, is_usual: false },
];

impl Writer {
    fn write(&self, text: &str) -> String {
        text.chars().map(|letter| self.written(letter)).collect()
    }

    fn written(&self, letter: char) -> String {
        match letter {
            _ if (self.escapes)(letter) => {
                letter.encode_utf16(&mut [0; 2]).iter().map(|unit| self.unit(*unit)).collect()
            }
            '/' if self.slashes => "\\/".into(),
            _ => json(letter.encode_utf8(&mut [0; 4])),
        }
    }

    fn unit(&self, unit: u16) -> String {
        if self.is_upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") }
    }
}

/// Every form of a text in JSON, in JSON within JSON (written by the same, or by one that escapes only what it must), and that
/// quoted once more, as a failure does.
pub(super) fn in_json(text: &str) -> Vec<String> {
    let mut all = vec![];
    for writer in &WRITERS {
        let once = writer.write(text);
        let twice = [json(&once), writer.write(&once)];
        all.extend(twice.iter().map(|it| json(it)));
        all.extend(twice);
        all.push(once);
    }
    all
}

/// How writers of HTML and XML escape the quotes.
const QUOTES: [(&str, &str); 9] = [
    ("\"", "'"),
    ("&quot;", "'"),
    ("&quot;", "&#39;"),
    ("&quot;", "&#x27;"),
    ("&quot;", "&#039;"),
    ("&quot;", "&apos;"),
    ("&#34;", "'"),
    ("&#34;", "&#39;"),
    ("&#34;", "&apos;"),
];

/// Every form of a text in HTML and XML, also if it is JSON that is shown there; and that in JSON, which may escape or not.
pub(super) fn in_html(text: &str) -> Vec<String> {
    let mut all = vec![];
    for shown in [text.to_owned(), json(text)] {
        for (double, single) in QUOTES {
            let kept = shown.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let html = kept.replace('"', double).replace('\'', single);
            let more = html.replace('/', "&#x2F;").replace('`', "&#x60;").replace('=', "&#x3D;");
            all.extend([html, more]);
        }
    }
    all.sort();
    all.dedup();
    let writers = || WRITERS.iter().filter(|writer| writer.is_usual);
    let written: Vec<String> =
        all.iter().flat_map(|html| writers().map(|writer| writer.write(html))).collect();
    all.extend(written.iter().map(|it| json(it)));
    all.extend(written);
    all
}

/// `/` as PHP writes it.
pub(super) fn with_slashes(text: &str) -> String {
    text.replace('/', "\\/")
}

/// As it must be escaped.
pub(super) fn json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}
