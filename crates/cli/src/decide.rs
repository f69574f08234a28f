//! `cors decide`: requests in, decisions out, a JSON object a line.

use std::{
    borrow::Cow,
    fmt,
    io::{self, Read, Write},
    path::Path,
    process::ExitCode,
};

use libcors_policy::{Lines, Policy, Request};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use crate::{
    Status, answer::Answer, args::DecideArgs, document::Chosen,
    failure::Failure, terminal::Terminal,
};

/// The most bytes of a line: 8 MiB. More is no request that a server takes.
const MAX_LINE: usize = 8 << 20;

/// How much is read, and roughly how much is written, at a time.
const CHUNK: usize = 64 << 10;

pub(crate) fn run(args: &DecideArgs, terminal: Terminal) -> Status {
    if args.policy.config == Path::new("-") {
        return Err(Failure::Message(
            "standard input holds the requests; name a file with --config"
                .to_owned(),
        ));
    }
    let chosen = Chosen::load(&args.policy, terminal)?;
    let mut decider = Decider {
        policy: chosen.policy()?,
        output: io::stdout().lock(),
        pending: Vec::with_capacity(2 * CHUNK),
        line: 0,
        malformed: false,
    };
    decider.run(io::stdin().lock())?;
    Ok(ExitCode::from(u8::from(decider.malformed)))
}

struct Decider<'p, W> {
    policy: Option<&'p Policy>,
    output: W,
    pending: Vec<u8>,
    line: u64,
    malformed: bool,
}

impl<W: Write> Decider<'_, W> {
    fn run(&mut self, mut input: impl Read) -> Result<(), Failure> {
        let mut buffer = vec![0; 2 * CHUNK];
        // What the buffer holds of a line that is not complete.
        let mut held = 0;
        // Whether that line is too long, and was answered.
        let mut skipping = false;
        loop {
            // No complete line waits.
            self.flush()?;
            // Grows for long lines only, to twice the longest at most.
            if buffer.len() < held + CHUNK {
                buffer.resize(2 * held, 0);
            }
            let read = match input.read(&mut buffer[held..held + CHUNK]) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    continue;
                }
                Err(error) => {
                    return Err(Failure::Message(format!(
                        "standard input cannot be read: {error}"
                    )));
                }
            };
            let filled = held + read;
            let mut start = 0;
            let mut search = held;
            while let Some(at) = newline(&buffer[search..filled]) {
                let end = search + at;
                if !skipping {
                    self.line(&buffer[start..end])?;
                }
                skipping = false;
                start = end + 1;
                search = start;
            }
            if !skipping && filled - start > MAX_LINE {
                self.line(&buffer[start..filled])?;
                skipping = true;
            }
            held = match skipping {
                true => 0,
                false => {
                    buffer.copy_within(start..filled, 0);
                    filled - start
                }
            };
        }
        if held > 0 {
            self.line(&buffer[..held])?;
        }
        self.flush()
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Failure> {
        self.line += 1;
        let written = match read(line) {
            Ok(fields) => {
                let request = fields.request();
                let decision = match self.policy {
                    Some(policy) => policy.decide(&request),
                    None => Policy::decide_without_policy(&request),
                };
                serde_json::to_writer(&mut self.pending, &Answer::new(decision))
            }
            Err(message) => {
                self.malformed = true;
                let error = LineError { line: self.line, message };
                serde_json::to_writer(&mut self.pending, &Malformed { error })
            }
        };
        written.map_err(io::Error::from)?;
        self.pending.push(b'\n');
        if self.pending.len() >= CHUNK {
            self.output.write_all(&self.pending)?;
            self.pending.clear();
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.output.write_all(&self.pending)?;
        self.pending.clear();
        self.output.flush()?;
        Ok(())
    }
}

fn newline(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|&byte| byte == b'\n')
}

#[derive(Serialize)]
struct Malformed {
    error: LineError,
}

#[derive(Serialize)]
struct LineError {
    line: u64,
    message: String,
}

/// What a request says, as far as CORS is concerned.
#[derive(Default)]
struct Fields<'a> {
    method: Cow<'a, [u8]>,
    origin: Values<'a>,
    request_method: Values<'a>,
    request_headers: Values<'a>,
    request_private_network: Values<'a>,
    upgrade: Values<'a>,
    protocol: Values<'a>,
    scheme: Values<'a>,
    host: Values<'a>,
    sec_fetch_site: Values<'a>,
}

type Values<'a> = Vec<Cow<'a, [u8]>>;

impl<'a> Fields<'a> {
    fn field(&mut self, name: &[u8]) -> Option<&mut Values<'a>> {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        // The length tells most names apart.
        Some(match name.len() {
            4 if is("host") => &mut self.host,
            6 if is("origin") => &mut self.origin,
            7 if is("upgrade") => &mut self.upgrade,
            7 if is(":scheme") => &mut self.scheme,
            9 if is(":protocol") => &mut self.protocol,
            14 if is("sec-fetch-site") => &mut self.sec_fetch_site,
            29 if is("access-control-request-method") => {
                &mut self.request_method
            }
            30 if is("access-control-request-headers") => {
                &mut self.request_headers
            }
            38 if is("access-control-request-private-network") => {
                &mut self.request_private_network
            }
            _ => return None,
        })
    }

    fn request(&self) -> Request<'_, FieldLines<'_>> {
        // Of what a request has once, the first line counts.
        Request {
            method: &self.method,
            origin: FieldLines(&self.origin),
            request_method: FieldLines(&self.request_method),
            request_headers: FieldLines(&self.request_headers),
            request_private_network: FieldLines(&self.request_private_network),
            upgrade: FieldLines(&self.upgrade),
            protocol: FieldLines(&self.protocol).line(0),
            scheme: FieldLines(&self.scheme).line(0),
            host: FieldLines(&self.host).line(0),
            sec_fetch_site: FieldLines(&self.sec_fetch_site).line(0),
        }
    }
}

#[derive(Clone, Copy)]
struct FieldLines<'r>(&'r [Cow<'r, [u8]>]);

impl<'r> Lines<'r> for FieldLines<'r> {
    fn count(self) -> usize {
        self.0.len()
    }

    fn line(self, index: usize) -> &'r [u8] {
        self.0.get(index).map(|line| &**line).unwrap_or_default()
    }
}

fn read(line: &[u8]) -> Result<Fields<'_>, String> {
    if line.len() > MAX_LINE {
        return Err(format!("the line is longer than {MAX_LINE} bytes"));
    }
    if line.trim_ascii().is_empty() {
        return Err(format!("the line is empty; write {EXAMPLE}"));
    }
    serde_json::from_slice(line).map_err(|error| {
        let column = error.column();
        let place = format!(" at line {} column {column}", error.line());
        let text = error.to_string();
        let text = text.strip_suffix(&place).unwrap_or(&text);
        match column {
            0 => text.to_owned(),
            _ => format!("column {column}: {text}"),
        }
    })
}

const EXAMPLE: &str = r#"an object such as {"method": "GET", "headers": [["Origin", "https://a.example"]]}"#;

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXAMPLE)
    }

    fn visit_map<A: MapAccess<'de>>(
        self,
        mut map: A,
    ) -> Result<Fields<'de>, A::Error> {
        use de::Error;

        let mut fields = Fields::default();
        let (mut method, mut headers) = (false, false);
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            let seen = match &*key {
                "method" => {
                    fields.method = map.next_value::<Bytes<'de>>()?.0;
                    &mut method
                }
                "headers" => {
                    map.next_value_seed(HeadersSeed(&mut fields))?;
                    &mut headers
                }
                key => {
                    return Err(A::Error::unknown_field(
                        key,
                        &["method", "headers"],
                    ));
                }
            };
            if std::mem::replace(seen, true) {
                return Err(A::Error::custom(format_args!(
                    "duplicate field `{key}`"
                )));
            }
        }
        match (method, headers) {
            (false, _) => Err(A::Error::missing_field("method")),
            (_, false) => Err(A::Error::missing_field("headers")),
            _ => Ok(fields),
        }
    }
}

/// Sorts headers into the fields that a decision needs; the others are dropped.
struct HeadersSeed<'f, 'de>(&'f mut Fields<'de>);

impl<'de> de::DeserializeSeed<'de> for HeadersSeed<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(
        self,
        from: D,
    ) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for HeadersSeed<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of headers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(Pair(name, value)) = seq.next_element()? {
            if let Some(field) = self.0.field(&name) {
                field.push(value);
            }
        }
        Ok(())
    }
}

/// A header: a list of its name and its value.
struct Pair<'a>(Cow<'a, [u8]>, Cow<'a, [u8]>);

impl<'de> Deserialize<'de> for Pair<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(PairVisitor)
    }
}

struct PairVisitor;

impl<'de> Visitor<'de> for PairVisitor {
    type Value = Pair<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"a header as ["Name", "value"]"#)
    }

    fn visit_seq<A: SeqAccess<'de>>(
        self,
        mut seq: A,
    ) -> Result<Pair<'de>, A::Error> {
        use de::Error;

        let short = |len| A::Error::invalid_length(len, &PairVisitor);
        let Bytes(name) = seq.next_element()?.ok_or_else(|| short(0))?;
        let Bytes(value) = seq.next_element()?.ok_or_else(|| short(1))?;
        match seq.next_element::<IgnoredAny>()? {
            Some(_) => Err(short(3)),
            None => Ok(Pair(name, value)),
        }
    }
}

/// Text that stands for bytes.
struct Bytes<'a>(Cow<'a, [u8]>);

impl<'de> Deserialize<'de> for Bytes<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(BytesVisitor)
    }
}

struct BytesVisitor;

impl<'de> Visitor<'de> for BytesVisitor {
    type Value = Bytes<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: de::Error>(
        self,
        text: &'de str,
    ) -> Result<Bytes<'de>, E> {
        match text.is_ascii() {
            true => Ok(Bytes(Cow::Borrowed(text.as_bytes()))),
            false => self.visit_str(text),
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes<'de>, E> {
        let byte = |c: char| {
            u8::try_from(c).map_err(|_| {
                E::custom(format_args!(
                    "the character U+{:04X} stands for no byte; write each \
                     byte as a character up to U+00FF",
                    u32::from(c)
                ))
            })
        };
        let bytes = text.chars().map(byte).collect::<Result<Vec<u8>, E>>()?;
        Ok(Bytes(Cow::Owned(bytes)))
    }
}
