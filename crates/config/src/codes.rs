//! The codes of all problems, each with what it means and a pair of documents.

use std::fmt::Write;

use crate::diagnostic::Severity;

/// A kind of problem.
#[derive(Debug)]
#[non_exhaustive]
pub struct Code {
    /// The stable code: `E` for an error, `W` for a warning, and four digits.
    pub id: &'static str,
    /// A few words.
    pub title: &'static str,
    /// What it means, why it matters, and how to mend it.
    pub explanation: &'static str,
    /// A document that has the problem.
    pub fails: Example,
    /// A document that just has not.
    pub passes: Example,
}

impl Code {
    /// How bad it is.
    pub fn severity(&self) -> Severity {
        Id(self.id).severity()
    }
}

/// A complete document.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Example {
    /// This text.
    Text(&'static str),
    /// What is no short text: a description, and the document.
    Made(&'static str, fn() -> Vec<u8>),
    /// What is not about the document but about its file.
    File(&'static str),
    /// This text, in a library that was built without a feature.
    Without(&'static str, &'static str),
}

/// What names a code where a problem is found. A library that never lists the
/// codes goes without their texts.
#[derive(Debug)]
pub(crate) struct Id(pub(crate) &'static str);

impl Id {
    pub(crate) fn severity(&self) -> Severity {
        match self.0.starts_with('E') {
            true => Severity::Error,
            false => Severity::Warning,
        }
    }
}

/// Defines the codes, and the list of them.
macro_rules! codes {
    ($($name:ident = $id:literal, $title:literal:
        $explanation:literal;
        fails: $fails:expr;
        passes: $passes:expr;)*) => {
        $(pub(crate) static $name: Id = Id($id);)*

        static ALL: &[&Code] = &[$(&Code {
            id: $name.0,
            title: $title,
            explanation: $explanation,
            fails: $fails,
            passes: $passes,
        }),*];
    };
}

use Example::{File, Made, Text, Without};

codes! {
    UNREADABLE = "E0101", "The file cannot be read":
        "The system refused to open or read the file. The message holds its reason.";
    fails: File("a file that does not exist");
    passes: File("a file that can be read");

    TOO_LARGE = "E0102", "The document is too large":
        "A document has at most 256 MiB, 32,000,000 words and signs, and 5,000,000 \
         entries in its lists; entries of `[defaults]` count once for each policy that \
         starts from them. So a document cannot exhaust the memory of the server that \
         loads it.";
    fails: Made("256 MiB and one byte", || vec![0; crate::MAX_LEN + 1]);
    passes: Text("[policy.api]\nallow_origins = []\n");

    ENCODING = "E0103", "The document is not UTF-8":
        "Save the document as UTF-8. The rest of it is checked as if an underscore stood \
         in the place of each byte that is not UTF-8.";
    fails: Made(
        "`[policy.api]`, `allow_origins = []` and a comment with the byte FC",
        || b"[policy.api]\nallow_origins = [] # f\xfcr\n".to_vec()
    );
    passes: Text("[policy.api]\nallow_origins = [] # f\u{fc}r\n");

    TOML = "E0104", "The document is not TOML":
        "Something is not as TOML 1.1 has it. What could not be read is left out of all \
         further checks, so other problems may come to light when this one is mended.";
    fails: Text("[policy.api]\nallow_origins = [\"https://app.example.com\"\n");
    passes: Text("[policy.api]\nallow_origins = [\"https://app.example.com\"]\n");

    JSON = "E0105", "The document is not JSON":
        "A document whose first character is `{` is JSON, as RFC 8259 has it: without \
         comments, and without a comma after the last member.";
    fails: Text("{\"policy\": {\"api\": {\"allow_origins\": [],}}}\n");
    passes: Text("{\"policy\": {\"api\": {\"allow_origins\": []}}}\n");

    DEPTH = "E0106", "The document is nested too deeply":
        "Lists and tables may be nested 80 deep. Policies need no more than four levels.";
    fails: Made("81 lists in each other", || {
        format!("x = {}{}\n", "[".repeat(81), "]".repeat(81)).into_bytes()
    });
    passes: Text("[policy.api]\nallow_origins = [[]]\n");

    DUPLICATE_KEY = "E0107", "A key or a policy stands twice":
        "Each key stands once in its table, and each policy has a name of its own. Which \
         of two would hold is anybody's guess.";
    fails: Text("[policy.api]\nallow_origins = []\nmax_age = 60\nmax_age = 600\n");
    passes: Text("[policy.api]\nallow_origins = []\nmax_age = 600\n");

    UNKNOWN_KEY = "E0108", "A key is unknown":
        "A key that is misspelled, or comes from another tool, would silently do nothing, \
         so it is refused. The hint names the key that was probably meant.";
    fails: Text("[policy.api]\nallow_orgins = []\nallow_origins = []\n");
    passes: Text("[policy.api]\nallow_origins = []\n");

    TYPE = "E0109", "A value is of the wrong type":
        "The message says what the key takes, and what was found.";
    fails: Text("[policy.api]\nallow_origins = \"https://app.example.com\"\n");
    passes: Text("[policy.api]\nallow_origins = [\"https://app.example.com\"]\n");

    NO_POLICY = "E0110", "There is no policy":
        "A document holds at least one policy, in a table `[policy.NAME]`.";
    fails: Text("[defaults]\nallow_origins = []\n");
    passes: Text("[defaults]\nallow_origins = []\n\n[policy.api]\n");

    POLICY_NAME = "E0111", "The name of a policy is not allowed":
        "A name starts with a letter or digit of ASCII and goes on with up to 63 letters, \
         digits, `_`, `.` and `-`. `off` is no name: where a server picks a policy, it \
         means none.";
    fails: Text("[policy.\"my api\"]\nallow_origins = []\n");
    passes: Text("[policy.my-api]\nallow_origins = []\n");

    NOT_IN_DEFAULTS = "E0112", "A key may not stand in the defaults":
        "What is dangerous, and what is on trial, is said where it holds: \
         `dangerously_allow` and `mode` stand in policies only.";
    fails: Text("[defaults]\nmode = \"report\"\n\n[policy.api]\nallow_origins = []\n");
    passes: Text("[policy.api]\nallow_origins = []\nmode = \"report\"\n");

    NO_ORIGINS = "E0113", "A policy has no list of origins":
        "`allow_origins` stands in every policy or in the defaults; write \
         `allow_origins = []` to allow none.";
    fails: Text("[policy.api]\nmax_age = 600\n");
    passes: Text("[policy.api]\nallow_origins = []\nmax_age = 600\n");

    MORE_ERRORS = "E0114", "There are more errors":
        "Only the first 1,000 errors are shown.";
    fails: Made("1,001 empty origins in one list", || many("allow_origins", "\"\"", 1001));
    passes: Made("1,000 empty origins in one list", || many("allow_origins", "\"\"", 1000));

    ORIGIN_EMPTY = "E0201", "An origin is empty":
        "An entry is an origin such as `https://app.example.com`. To allow no origin, leave \
         the list empty.";
    fails: Text("[policy.api]\nallow_origins = [\"\"]\n");
    passes: Text("[policy.api]\nallow_origins = []\n");

    ORIGIN_SPACE = "E0202", "White space stands in an origin":
        "Browsers send origins without white space, so an entry with some matches nothing. \
         Several origins are several entries.";
    fails: Text("[policy.api]\nallow_origins = [\"https://a.example.com \"]\n");
    passes: Text("[policy.api]\nallow_origins = [\"https://a.example.com\"]\n");

    ORIGIN_CHARACTER = "E0203", "A character stands in an origin that never does":
        "A host is made of `a` to `z`, digits, `-`, `_` and dots.";
    fails: Text("[policy.api]\nallow_origins = [\"https://a%2eexample.com\"]\n");
    passes: Text("[policy.api]\nallow_origins = [\"https://a.example.com\"]\n");

    ORIGIN_SCHEME = "E0204", "An origin has no scheme, or none that is one":
        "An origin starts with a scheme and `://`. A host alone does not say whether pages \
         that came by plain http are meant, which anyone on their way can alter.";
    fails: Text("[policy.api]\nallow_origins = [\"app.example.com\"]\n");
    passes: Text("[policy.api]\nallow_origins = [\"https://app.example.com\"]\n");

    ORIGIN_CASE = "E0205", "An origin is not in lower case":
        "Browsers send scheme, host and `null` in lower case, and origins are compared byte \
         for byte.";
    fails: Text("[policy.api]\nallow_origins = [\"https://App.Example.com\"]\n");
    passes: Text("[policy.api]\nallow_origins = [\"https://app.example.com\"]\n");

    ORIGIN_FILE = "E0206", "A `file:` origin is listed":
        "Pages of `file:` have the origin `null`, as have many others that anyone can make. \
         Serve the page by http from localhost instead.";
    fails: Text("[policy.api]\nallow_origins = [\"file://\"]\n");
    passes: Text("[policy.api]\nallow_origins = [\"http://localhost:8080\"]\n");

    ORIGIN_WEBSOCKET = "E0207", "A WebSocket scheme is listed":
        "A page that opens a WebSocket has an http or https origin; `ws` and `wss` are never \
         the scheme of an origin.";
    fails: Text("[policy.api]\nallow_origins = [\"wss://app.example.com\"]\n");
    passes: Text("[policy.api]\nallow_origins = [\"https://app.example.com\"]\n");

    ORIGIN_USER = "E0208", "An origin holds a user name":
        "An origin has no user name and no password. What stands before an `@` may look like \
         the host, and is not.";
    fails: Text("[policy.api]\nallow_origins = [\"https://me@app.example.com\"]\n");
    passes: Text("[policy.api]\nallow_origins = [\"https://app.example.com\"]\n");

    ORIGIN_PATH = "E0209", "Something follows the host and port of an origin":
        "An origin has no path, not even a slash at its end, no query and no fragment: pages \
         of one site cannot be told apart by their path.";
    fails: Text("[policy.api]\nallow_origins = [\"https://app.example.com/\"]\n");
    passes: Text("[policy.api]\nallow_origins = [\"https://app.example.com\"]\n");

    ORIGIN_HOST = "E0210", "The host of an origin is no host":
        "A host has at most 253 bytes, in labels of 1 to 63 bytes with dots between.";
    fails: Text("[policy.api]\nallow_origins = [\"https://app..example.com\"]\n");
    passes: Text("[policy.api]\nallow_origins = [\"https://app.example.com\"]\n");

    ORIGIN_UNICODE = "E0211", "The host of an origin is not in ASCII":
        "Browsers send an international name in its Punycode form, which the hint shows.";
    fails: Text("[policy.api]\nallow_origins = [\"https://b\u{fc}cher.example\"]\n");
    passes: Text("[policy.api]\nallow_origins = [\"https://xn--bcher-kva.example\"]\n");

    ORIGIN_PUNYCODE = "E0212", "The host of an origin is invalid Punycode":
        "A label that starts with `xn--` stands for a Unicode name. Browsers refuse a URL \
         with one that stands for none, so no page has this origin. (A library that was built \
         without the feature `idna` does not find it, and lets the entry stand, which allows \
         nobody.)";
    fails: Text("[policy.api]\nallow_origins = [\"https://xn--bcher-kv.example\"]\n");
    passes: Text("[policy.api]\nallow_origins = [\"https://xn--bcher-kva.example\"]\n");

    ORIGIN_ADDRESS = "E0213", "An IP address is not as browsers write it":
        "An IPv4 address is four numbers from 0 to 255 without leading zeros. An IPv6 address \
         stands in brackets, in lower case, compressed, and without a zone. A host whose last \
         label is a number is an IPv4 address.";
    fails: Text("[policy.api]\nallow_origins = [\"http://[0:0::1]:3000\"]\n");
    passes: Text("[policy.api]\nallow_origins = [\"http://[::1]:3000\"]\n");

    ORIGIN_WILDCARD = "E0214", "A wildcard stands where none may":
        "`*` stands for whole labels at the left of a host (`https://*.example.com`), once \
         for a part of the leftmost label (`https://pr-*.example.com`), for a port \
         (`http://localhost:*`), or alone for any origin. Elsewhere it would let in hosts \
         that anyone can register.";
    fails: Text("[policy.api]\nallow_origins = [\"https://app.*.com\"]\n");
    passes: Text("[policy.api]\nallow_origins = [\"https://*.app.com\"]\n");

    ORIGIN_PORT = "E0215", "The port of an origin is no port":
        "A port is a number from 1 to 65535 without leading zeros, or `*`.";
    fails: Text("[policy.api]\nallow_origins = [\"http://localhost:65536\"]\n");
    passes: Text("[policy.api]\nallow_origins = [\"http://localhost:65535\"]\n");

    ORIGIN_DEFAULT_PORT = "E0216", "An origin names its default port":
        "Browsers leave out port 443 of https and port 80 of http, so an entry that names it \
         matches nothing.";
    fails: Text("[policy.api]\nallow_origins = [\"https://app.example.com:443\"]\n");
    passes: Text("[policy.api]\nallow_origins = [\"https://app.example.com:80\"]\n");

    ORIGIN_ANY_BESIDE = "E0217", "`*` stands beside other origins":
        "`*` allows any origin, so whatever stands beside it is either useless or a sign that \
         `*` should go.";
    fails: Text("[policy.api]\nallow_origins = [\"*\", \"https://app.example.com\"]\n");
    passes: Text("[policy.api]\nallow_origins = [\"*\"]\n");

    SELF_ORIGIN = "E0218", "An origin of the site itself is not exact":
        "`self_origins` lists the origins that the site is served from, each written out: no \
         wildcard, no `null`, no expression.";
    fails: Text(
        "[policy.api]\nallow_origins = []\nself_origins = [\"https://*.example.com\"]\n"
    );
    passes: Text(
        "[policy.api]\nallow_origins = []\nself_origins = [\"https://www.example.com\"]\n"
    );

    REGEX = "E0219", "A regular expression is refused":
        "The message says why.";
    fails: Text("[policy.api]\nallow_origins = [{ regex = '(' }]\n");
    passes: Text("[policy.api]\nallow_origins = [{ regex = 'https://app\\.example\\.com' }]\n");

    REGEX_ABSENT = "E0220", "Regular expressions are not built in":
        "This library was built without the feature `regex`, so it can run no expression. Write \
         the origins out, or use a library that has the feature, as libcors is shipped.";
    fails: Without(
        "regex",
        "[policy.api]\nallow_origins = [{ regex = 'https://app\\.example\\.com' }]\n"
    );
    passes: Text("[policy.api]\nallow_origins = [\"https://app.example.com\"]\n");

    NETWORK = "E0221", "Invalid network":
        "A network is an IP address and the length of its prefix in CIDR notation, without \
         bits behind the prefix, and a `scheme`, which is `http` or `https`. `port` is a \
         number or `\"*\"`; without it the default port of the scheme is meant.";
    fails: Text(
        "[policy.api]\n\
         allow_origins = [{ network = \"192.168.1.0/16\", scheme = \"http\", port = \"*\" }]\n"
    );
    passes: Text(
        "[policy.api]\n\
         allow_origins = [{ network = \"192.168.0.0/16\", scheme = \"http\", port = \"*\" }]\n"
    );

    METHOD = "E0301", "A method is no method":
        "A method is made of letters, digits and a few signs, without white space. Several \
         methods are several entries.";
    fails: Text("[policy.api]\nallow_origins = []\nallow_methods = [\"PUT, DELETE\"]\n");
    passes: Text("[policy.api]\nallow_origins = []\nallow_methods = [\"PUT\", \"DELETE\"]\n");

    METHOD_FORBIDDEN = "E0302", "A method is listed that no page can send":
        "Browsers let no page send CONNECT, TRACE or TRACK.";
    fails: Text("[policy.api]\nallow_origins = []\nallow_methods = [\"TRACE\"]\n");
    passes: Text("[policy.api]\nallow_origins = []\nallow_methods = [\"TRACING\"]\n");

    METHOD_CASE = "E0303", "A method is not in upper case":
        "Methods are case-sensitive. Browsers write DELETE, GET, HEAD, OPTIONS, POST and PUT \
         in upper case, however a page spells them, so an entry in another case matches \
         nothing.";
    fails: Text("[policy.api]\nallow_origins = []\nallow_methods = [\"Delete\"]\n");
    passes: Text("[policy.api]\nallow_origins = []\nallow_methods = [\"DELETE\"]\n");

    ANY_BESIDE = "E0304", "`*` stands beside other entries":
        "`*` allows every name, so others beside it are useless. Only `Authorization`, which \
         `*` does not cover, may stand beside it in `allow_headers`.";
    fails: Text("[policy.api]\nallow_origins = []\nallow_headers = [\"*\", \"X-Id\"]\n");
    passes: Text("[policy.api]\nallow_origins = []\nallow_headers = [\"*\", \"Authorization\"]\n");

    HEADER = "E0305", "The name of a header is none":
        "A header name is made of letters, digits and a few signs, without white space or a \
         colon. Several names are several entries.";
    fails: Text("[policy.api]\nallow_origins = []\nallow_headers = [\"X-Id: 1\"]\n");
    passes: Text("[policy.api]\nallow_origins = []\nallow_headers = [\"X-Id\"]\n");

    HEADER_FORBIDDEN = "E0306", "A header is listed that no page can set":
        "Browsers set these headers themselves, so no page asks for them: the Fetch standard \
         calls them forbidden request-headers. Cookies are allowed by `allow_credentials`.";
    fails: Text("[policy.api]\nallow_origins = []\nallow_headers = [\"Cookie\"]\n");
    passes: Text("[policy.api]\nallow_origins = []\nallow_headers = [\"X-Cookie\"]\n");

    HEADER_RESPONSE = "E0307", "A response header is listed among request headers":
        "`allow_headers` names headers that pages send. What the server sends to allow \
         something is made from the policy.";
    fails: Text(
        "[policy.api]\nallow_origins = []\nallow_headers = [\"Access-Control-Allow-Origin\"]\n"
    );
    passes: Text("[policy.api]\nallow_origins = []\nallow_headers = [\"Content-Type\"]\n");

    EXPOSE_FORBIDDEN = "E0308", "A header is exposed that no page may read":
        "Browsers show no page Set-Cookie or Set-Cookie2.";
    fails: Text("[policy.api]\nallow_origins = []\nexpose_headers = [\"Set-Cookie\"]\n");
    passes: Text("[policy.api]\nallow_origins = []\nexpose_headers = [\"ETag\"]\n");

    EXPOSE_REQUEST = "E0309", "A header is exposed that no page gets to see":
        "`expose_headers` names headers of responses that pages read. This one stands in \
         requests, or in the answer to a preflight, which no page sees.";
    fails: Text("[policy.api]\nallow_origins = []\nexpose_headers = [\"Origin\"]\n");
    passes: Text("[policy.api]\nallow_origins = []\nexpose_headers = [\"X-Origin\"]\n");

    EXPOSE_ANY = "E0310", "`*` exposes nothing with credentials":
        "With credentials browsers take `*` for the name of a header, so a page could read \
         nothing that the policy seems to expose. Write the names out.";
    fails: Text(
        "[policy.api]\nallow_origins = []\nallow_credentials = true\nexpose_headers = [\"*\"]\n"
    );
    passes: Text("[policy.api]\nallow_origins = []\nexpose_headers = [\"*\"]\n");

    NAME_WILDCARD = "E0311", "A method or header name contains `*`":
        "Browsers know `*` only as an entry of its own. In any other name it is an ordinary \
         character: `x-amz-*` does not match `x-amz-meta-user`.";
    fails: Text("[policy.api]\nallow_origins = []\nallow_headers = [\"X-Amz-*\"]\n");
    passes: Text("[policy.api]\nallow_origins = []\nallow_headers = [\"X-Amz-Date\"]\n");

    MAX_AGE_TEXT = "E0401", "A duration is none":
        "A duration is a number of seconds, or a string of digits and one of `s`, `m`, `h` \
         and `d`.";
    fails: Text("[policy.api]\nallow_origins = []\nmax_age = \"10 minutes\"\n");
    passes: Text("[policy.api]\nallow_origins = []\nmax_age = \"10m\"\n");

    MAX_AGE_RANGE = "E0402", "`max_age` is out of range":
        "It is at most 86,400 seconds, a day, which no browser exceeds. 0 switches the cache \
         off.";
    fails: Text("[policy.api]\nallow_origins = []\nmax_age = \"25h\"\n");
    passes: Text("[policy.api]\nallow_origins = []\nmax_age = \"24h\"\n");

    STATUS = "E0403", "`preflight_status` is out of range":
        "Browsers take a preflight for granted only if its status is 200 to 299.";
    fails: Text("[policy.api]\nallow_origins = []\npreflight_status = 300\n");
    passes: Text("[policy.api]\nallow_origins = []\npreflight_status = 299\n");

    KEYWORD = "E0404", "A value is unknown":
        "The message says which values the key takes.";
    fails: Text("[policy.api]\nallow_origins = []\npreflight = \"forwrd\"\n");
    passes: Text("[policy.api]\nallow_origins = []\npreflight = \"forward\"\n");

    FLAG = "E0405", "A danger flag is unknown":
        "The message lists the flags.";
    fails: Text(
        "[policy.api]\nallow_origins = [\"null\"]\n\
         dangerously_allow = [\"nul_origin\", \"null_origin\"]\n"
    );
    passes: Text(
        "[policy.api]\nallow_origins = [\"null\"]\ndangerously_allow = [\"null_origin\"]\n"
    );

    CONSTANT_ORIGIN = "E0406", "`constant_origin` without exactly one exact origin":
        "With `constant_origin` every response names the one origin that is allowed, so there \
         must be exactly one, written out: no wildcard, network or expression, and not `*` or \
         `null`.";
    fails: Text(
        "[policy.api]\nallow_origins = [\"https://*.example.com\"]\nconstant_origin = true\n"
    );
    passes: Text(
        "[policy.api]\nallow_origins = [\"https://app.example.com\"]\nconstant_origin = true\n"
    );

    NULL_ORIGIN = "E0501", "`null` is allowed":
        "`null` is not one origin: every sandboxed frame, and many a redirect, has it, so \
         anyone can make a page with it. The flag `null_origin` allows it all the same.";
    fails: Text("[policy.api]\nallow_origins = [\"null\"]\n");
    passes: Text(
        "[policy.api]\nallow_origins = [\"null\"]\ndangerously_allow = [\"null_origin\"]\n"
    );

    ANY_WITH_CREDENTIALS = "E0502", "Any origin is allowed with credentials":
        "Every site could then act as the signed-in user: send requests with the user's \
         cookies, and read the answers. List the origins that need it. The flag \
         `any_origin_with_credentials` allows it all the same.";
    fails: Text("[policy.api]\nallow_origins = [\"*\"]\nallow_credentials = true\n");
    passes: Text(
        "[policy.api]\nallow_origins = [\"*\"]\nallow_credentials = true\n\
         dangerously_allow = [\"any_origin_with_credentials\"]\n"
    );

    INSECURE_ORIGIN = "E0503", "An insecure origin is allowed with credentials":
        "Whoever sits between a browser and a plain-http site can put a script into its pages, \
         and that script could act as the signed-in user here. localhost and loopback \
         addresses are exempt, and so are the schemes of apps. The flag `insecure_origins` \
         allows it all the same.";
    fails: Text(
        "[policy.api]\nallow_origins = [\"http://app.example.com\"]\nallow_credentials = true\n"
    );
    passes: Text(
        "[policy.api]\nallow_origins = [\"http://localhost:3000\"]\nallow_credentials = true\n"
    );

    PUBLIC_SUFFIX = "E0504", "A wildcard stands right under a public suffix":
        "Names under a public suffix, such as `com`, `co.uk` or `github.io`, belong to anyone \
         who asks, so the wildcard lets in sites of strangers. A top-level domain that is not \
         on the list counts as well; `localhost` does not. The flag `public_suffix` allows it \
         all the same.";
    fails: Text("[policy.api]\nallow_origins = [\"https://*.github.io\"]\n");
    passes: Text("[policy.api]\nallow_origins = [\"https://*.me.github.io\"]\n");

    UNBOUNDED_REGEX = "E0505", "A regular expression admits origins of strangers":
        "The schemes of an expression are finite, and its hosts lie under registrable domains \
         that stand written out in it. The message shows an origin that anyone could register \
         and that the expression lets in. The flag `unbounded_regex` allows it all the same.";
    fails: Text("[policy.api]\nallow_origins = [{ regex = 'https://.*example\\.com' }]\n");
    passes: Text("[policy.api]\nallow_origins = [\"https://*.example.com\"]\n");

    UPSTREAM_CORS = "E0506", "The application may override the policy":
        "With `upstream_headers = \"keep\"` an application that sends \
         `Access-Control-Allow-Origin` decides alone, and one that says `*` opens what the \
         policy closes. The flag `upstream_cors` allows it all the same.";
    fails: Text("[policy.api]\nallow_origins = []\nupstream_headers = \"keep\"\n");
    passes: Text(
        "[policy.api]\nallow_origins = []\nupstream_headers = \"keep\"\n\
         dangerously_allow = [\"upstream_cors\"]\n"
    );

    ANY_APP_ORIGIN = "E0507", "Every app of a scheme is allowed with credentials":
        "`SCHEME://*` matches every app or extension that uses the scheme, and anyone can \
         publish one, which could act as the signed-in user. List the origins that need it. \
         The flag `any_app_origin` allows it all the same.";
    fails: Text(
        "[policy.api]\nallow_origins = [\"chrome-extension://*\"]\nallow_credentials = true\n"
    );
    passes: Text("[policy.api]\nallow_origins = [\"chrome-extension://*\"]\n");

    MORE_WARNINGS = "W0101", "There are more warnings":
        "Only the first 1,000 warnings are shown.";
    fails: Made("1,002 times the same origin", || {
        many("allow_origins", "\"https://a.example\"", 1002)
    });
    passes: Made("1,001 times the same origin", || {
        many("allow_origins", "\"https://a.example\"", 1001)
    });

    ORIGIN_DUPLICATE = "W0201", "An origin stands twice":
        "The second one does nothing.";
    fails: Text("[policy.api]\nallow_origins = [\"https://a.example\", \"https://a.example\"]\n");
    passes: Text("[policy.api]\nallow_origins = [\"https://a.example\", \"https://b.example\"]\n");

    ORIGIN_COVERED = "W0202", "An origin is covered by another entry":
        "It can go, unless the wider entry is the one that should.";
    fails: Text(
        "[policy.api]\nallow_origins = [\"https://*.example.com\", \"https://a.example.com\"]\n"
    );
    passes: Text(
        "[policy.api]\nallow_origins = [\"https://*.example.com\", \"https://example.com\"]\n"
    );

    ORIGIN_HTTP = "W0203", "A plain-http origin stands beside https ones":
        "Pages that come by plain http can be altered on their way, so such an origin is as \
         good as anyone's. Once a site has https, its http origin can go. localhost and \
         loopback addresses are exempt.";
    fails: Text("[policy.api]\nallow_origins = [\"http://a.example\", \"https://a.example\"]\n");
    passes: Text("[policy.api]\nallow_origins = [\"https://a.example\"]\n");

    REGEX_EMPTY = "W0204", "A regular expression matches no origin":
        "Origins are in lower case, without a path and without the default port, so that an \
         expression which asks for anything else never matches.";
    fails: Text("[policy.api]\nallow_origins = [{ regex = 'https://app\\.example\\.com/' }]\n");
    passes: Text("[policy.api]\nallow_origins = [{ regex = 'https://app\\.example\\.com' }]\n");

    SUFFIX_UNKNOWN = "W0205", "It is not known who gets names under a wildcard":
        "This library was built without the feature `public-suffixes`, so it does not know that \
         anyone can get a name under `co.uk` or `github.io`, and lets `https://*.github.io` \
         pass. It still refuses a wildcard right under a name without a dot, such as `com` \
         (E0504). Have the document checked by the command `cors`, which knows the list. Only \
         the first such entry of a list is shown. The flag `public_suffix` says that it is \
         fine.";
    fails: Without(
        "public-suffixes",
        "[policy.api]\nallow_origins = [\"https://*.example.com\"]\n"
    );
    passes: Text(
        "[policy.api]\n\
         allow_origins = [\"https://a.example.com\", \"https://b.example.com\"]\n"
    );

    METHOD_NEEDLESS = "W0301", "A method is listed without need":
        "GET, HEAD and POST are always allowed.";
    fails: Text("[policy.api]\nallow_origins = []\nallow_methods = [\"GET\", \"PUT\"]\n");
    passes: Text("[policy.api]\nallow_origins = []\nallow_methods = [\"PUT\"]\n");

    METHOD_NAME = "W0302", "A method that probably means another":
        "Methods are case-sensitive, and browsers send those but DELETE, GET, HEAD, OPTIONS, \
         POST and PUT as the page spells them: `patch` does not allow `PATCH`. `ANY` and `ALL` \
         are methods like any other; `*` allows every method.";
    fails: Text("[policy.api]\nallow_origins = []\nallow_methods = [\"patch\"]\n");
    passes: Text("[policy.api]\nallow_origins = []\nallow_methods = [\"PATCH\"]\n");

    EXPOSE_NEEDLESS = "W0303", "A header is exposed without need":
        "Pages may always read Cache-Control, Content-Language, Content-Length, Content-Type, \
         Expires, Last-Modified and Pragma.";
    fails: Text("[policy.api]\nallow_origins = []\nexpose_headers = [\"Content-Length\"]\n");
    passes: Text("[policy.api]\nallow_origins = []\nexpose_headers = [\"Content-Range\"]\n");

    NAME_DUPLICATE = "W0304", "A method, header or flag stands twice":
        "The second one does nothing. Header names are compared without regard to case.";
    fails: Text("[policy.api]\nallow_origins = []\nallow_headers = [\"X-Id\", \"x-id\"]\n");
    passes: Text("[policy.api]\nallow_origins = []\nallow_methods = [\"PATCH\", \"Patch\"]\n");

    MAX_AGE_CAPPED = "W0401", "`max_age` is longer than browsers keep an answer":
        "Chromium keeps the answer to a preflight for at most 7,200 seconds, two hours, and \
         Safari for 600, ten minutes.";
    fails: Text("[policy.api]\nallow_origins = []\nmax_age = 7201\n");
    passes: Text("[policy.api]\nallow_origins = []\nmax_age = 7200\n");

    PRIVATE_NETWORK = "W0402", "Private-network access is out of date":
        "Browsers have replaced this preflight by a question to the user, and ask the server \
         nothing. Only old versions of Chromium need the key.";
    fails: Text("[policy.api]\nallow_origins = []\nallow_private_network = true\n");
    passes: Text("[policy.api]\nallow_origins = []\nallow_private_network = false\n");

    REJECT_WITHOUT_SELF = "W0403", "Requests are rejected, and the site's own origins are not known":
        "Browsers send `Origin` with the site's own form posts and WebSockets as well. Without \
         `self_origins` these are recognized by `Sec-Fetch-Site` and by the scheme and host of \
         the request alone. Behind TLS termination, or a proxy that changes the host, the site's \
         own WebSockets and the requests of older browsers get a 403. And a page whose own name \
         is made to resolve to this server (DNS rebinding) has the same scheme and host, and is \
         not rejected.";
    fails: Text("[policy.api]\nallow_origins = []\ndisallowed = \"reject\"\n");
    passes: Text(
        "[policy.api]\nallow_origins = []\ndisallowed = \"reject\"\n\
         self_origins = [\"https://www.example.com\"]\n"
    );

    TIMING_HIDDEN = "W0404", "The timing of images and scripts stays hidden":
        "With `timing_allow_origin = true` the response lists the allowed origins in \
         `Timing-Allow-Origin`, if they are all written out and short enough (1,024 bytes). \
         Otherwise it names the origin that asked, and images, scripts and styles send none. \
         `\"*\"` shows the timing to every site.";
    fails: Text(
        "[policy.api]\nallow_origins = [\"https://*.example.com\"]\ntiming_allow_origin = true\n"
    );
    passes: Text(
        "[policy.api]\nallow_origins = [\"https://*.example.com\"]\ntiming_allow_origin = \"*\"\n"
    );

    FLAG_UNUSED = "W0501", "A danger flag is not needed":
        "Nothing in the policy needs it. It would hide a danger that comes in later.";
    fails: Text("[policy.api]\nallow_origins = []\ndangerously_allow = [\"null_origin\"]\n");
    passes: Text("[policy.api]\nallow_origins = []\n");
}

/// A policy with a list of many equal entries.
fn many(key: &str, entry: &str, count: usize) -> Vec<u8> {
    let mut document = String::from("[policy.api]\n");
    if key != "allow_origins" {
        document.push_str("allow_origins = []\n");
    }
    document.push_str(key);
    document.push_str(" = [\n");
    for _ in 0..count {
        document.push_str(entry);
        document.push_str(",\n");
    }
    document.push_str("]\n");
    document.into_bytes()
}

/// All codes, in ascending order, errors first.
pub fn all() -> &'static [&'static Code] {
    ALL
}

/// The code of this id.
pub fn find(id: &str) -> Option<&'static Code> {
    ALL.iter().copied().find(|code| code.id == id)
}

/// A page of documentation that lists all codes.
pub fn markdown() -> String {
    let mut page = String::from(HEAD);
    let mut group = "";
    for code in ALL {
        let (next, _) = code.id.split_at(3);
        if next != group {
            group = next;
            // Writing to a string does not fail.
            let _ = write!(page, "\n## {}\n", group_title(group));
        }
        let Code { id, title, explanation, .. } = code;
        let _ = write!(page, "\n### {id}: {title}\n\n{explanation}\n");
        example(&mut page, "This document has it:", code.fails);
        example(&mut page, "This one has not:", code.passes);
    }
    page
}

const HEAD: &str = "\
# Problems of policy documents

<!-- Made from crates/config/src/codes.rs; see the test there. -->

Each problem of a document has a code that never changes its meaning. An error (`E`) refuses the
document, and all of its policies with it; a warning (`W`) does not. A document is checked to its
end, so all of its problems are shown at once.
";

fn group_title(group: &str) -> &'static str {
    match group {
        "E01" => "Errors of the document",
        "E02" => "Errors of origins",
        "E03" => "Errors of methods and headers",
        "E04" => "Errors of other values",
        "E05" => "Dangers, which a flag lets through",
        "W01" => "Warnings about the document",
        "W02" => "Warnings about origins",
        "W03" => "Warnings about methods and headers",
        "W04" => "Warnings about other values",
        _ => "Warnings about danger flags",
    }
}

fn example(page: &mut String, lead: &str, example: Example) {
    let _ = match example {
        Text(text) => {
            let format = if text.starts_with('{') { "json" } else { "toml" };
            write!(page, "\n{lead}\n\n```{format}\n{text}```\n")
        }
        Without(feature, text) => write!(
            page,
            "\nA library that was built without `{feature}` finds it in this \
             document:\n\n```toml\n{text}```\n"
        ),
        Made(what, _) | File(what) => write!(page, "\n{lead} {what}.\n"),
    };
}
