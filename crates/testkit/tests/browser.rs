//! What two browsers were seen to do with scripted answers, replayed against the model. The
//! verdict is the Fetch standard's; where browsers part from it, a second table says so.

use libcors_testkit::browser::{
    Blocked, Credentials, Dialect, Fetch, Response, Rules, Script,
    ScriptHeader, cors_check, exposed_headers, preflight_check, timing_check,
};

use Credentials::{Include, Omit};

const PAGE: &str = "http://app.example.com:8080";

/// Header lines, `O`, `C`, `M`, `H`, `E` and `T` for the names that matter.
fn response(status: u16, lines: &[&str]) -> Response {
    let headers: Vec<(&str, String)> = lines
        .iter()
        .map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            let name = match name {
                "O" => "Access-Control-Allow-Origin",
                "o" => "access-control-allow-origin",
                "C" => "Access-Control-Allow-Credentials",
                "M" => "Access-Control-Allow-Methods",
                "H" => "Access-Control-Allow-Headers",
                "E" => "Access-Control-Expose-Headers",
                "T" => "Timing-Allow-Origin",
                other => other,
            };
            (name, value.replace("PAGE", PAGE))
        })
        .collect();
    Response::new(status, &headers)
}

#[test]
fn the_origin_of_a_simple_get() {
    let mismatch = Err(Blocked::AllowOriginMismatch);
    let multiple = Err(Blocked::AllowOriginMultiple);
    let page = PAGE;
    let rows: &[(&str, &[&str], Result<(), Blocked>)] = &[
        (page, &["O:PAGE"], Ok(())),
        (page, &["O:*"], Ok(())),
        (page, &[], Err(Blocked::AllowOriginMissing)),
        (page, &["O:"], mismatch),
        (page, &["O:PAGE/"], mismatch),
        (page, &["O:http://APP.example.com:8080"], mismatch),
        (page, &["O:HTTP://app.example.com:8080"], mismatch),
        (page, &["O:PAGE/path"], mismatch),
        (page, &["O:http://app.example.com:8081"], mismatch),
        (page, &["O:http://app.example.com"], mismatch),
        (page, &["O:https://app.example.com:8080"], mismatch),
        (page, &["O:app.example.com:8080"], mismatch),
        (page, &["O:http://*.example.com:8080"], mismatch),
        (page, &["O:http://app.example.com.:8080"], mismatch),
        (page, &["O:\"PAGE\""], mismatch),
        (page, &["O: \tPAGE \t"], Ok(())),
        (page, &["O:PAGE", "O:PAGE"], multiple),
        (page, &["O:http://other.example.com", "O:PAGE"], multiple),
        (page, &["O:*", "O:*"], multiple),
        (page, &["O:PAGE", "O:*"], multiple),
        (page, &["O:PAGE", "O:"], multiple),
        (page, &["O:PAGE, http://other.example.com"], multiple),
        (page, &["O:PAGE http://other.example.com"], multiple),
        (page, &["O:PAGE,"], multiple),
        (page, &["O:null"], mismatch),
        (page, &["o:PAGE"], Ok(())),
        ("null", &["O:null"], Ok(())),
        ("null", &["O:NULL"], mismatch),
        ("null", &["O:*"], Ok(())),
        ("http://app.example.com", &["O:http://app.example.com"], Ok(())),
        ("http://app.example.com", &["O:http://app.example.com:80"], mismatch),
        (
            "http://xn--bcher-kva.test:8080",
            &["O:http://xn--bcher-kva.test:8080"],
            Ok(()),
        ),
        ("http://[::1]:8080", &["O:http://[::1]:8080"], Ok(())),
        (page, &["O:*", "C:true"], Ok(())),
        (page, &["O:PAGE", "C:garbage"], Ok(())),
    ];
    for (origin, lines, verdict) in rows {
        let found = cors_check(origin.as_bytes(), Omit, &response(200, lines));
        assert_eq!(found, *verdict, "{origin} {lines:?}");
    }
}

#[test]
fn the_status_of_an_actual_response_does_not_matter() {
    for status in [200, 302, 400, 401, 403, 404, 500, 503] {
        let with = response(status, &["O:PAGE"]);
        assert_eq!(
            cors_check(PAGE.as_bytes(), Omit, &with),
            Ok(()),
            "{status}"
        );
        let without = response(status, &[]);
        let missing = Err(Blocked::AllowOriginMissing);
        assert_eq!(cors_check(PAGE.as_bytes(), Omit, &without), missing);
    }
}

#[test]
fn credentials_of_a_simple_get() {
    let no = Err(Blocked::AllowCredentials);
    let rows: &[(&str, &[&str], Result<(), Blocked>)] = &[
        (PAGE, &["O:PAGE", "C:true"], Ok(())),
        (PAGE, &["O:*", "C:true"], Err(Blocked::AllowOriginWildcard)),
        (PAGE, &["O:PAGE"], no),
        (PAGE, &["O:PAGE", "C:True"], no),
        (PAGE, &["O:PAGE", "C:TRUE"], no),
        (PAGE, &["O:PAGE", "C: true "], Ok(())),
        (PAGE, &["O:PAGE", "C:1"], no),
        (PAGE, &["O:PAGE", "C:true, true"], no),
        (PAGE, &["O:PAGE", "C:false"], no),
        (PAGE, &["O:PAGE", "C:"], no),
        (PAGE, &["O:PAGE", "C:true", "C:true"], no),
        ("null", &["O:null", "C:true"], Ok(())),
    ];
    for (origin, lines, verdict) in rows {
        let found =
            cors_check(origin.as_bytes(), Include, &response(200, lines));
        assert_eq!(found, *verdict, "{origin} {lines:?}");
    }
}

fn preflighted(
    credentials: Credentials,
    method: &str,
    names: &[&str],
    answer: &Response,
    rules: Rules,
) -> Result<(), Blocked> {
    let script = Script {
        origin: PAGE.into(),
        method: method.into(),
        headers: names
            .iter()
            .map(|name| ScriptHeader {
                name: name.as_bytes().to_vec(),
                unusual_value: true,
            })
            .collect(),
        credentials,
        forced: false,
    };
    preflight_check(&script.fetch()?, answer, rules)
}

/// Credentials, method and header names of the script, the lines of the answer, the verdict.
type Row<'a> =
    (Credentials, &'a str, &'a [&'a str], &'a [&'a str], Result<(), Blocked>);

#[test]
fn preflights() {
    let method = Err(Blocked::Method);
    let header = Err(Blocked::Header);
    let methods_malformed = Err(Blocked::AllowMethodsMalformed);
    let headers_malformed = Err(Blocked::AllowHeadersMalformed);
    let rows: &[Row] = &[
        (Include, "PUT", &[], &["O:PAGE", "C:true", "M:PUT"], Ok(())),
        (
            Include,
            "PUT",
            &[],
            &["O:PAGE", "M:PUT"],
            Err(Blocked::AllowCredentials),
        ),
        (
            Include,
            "PUT",
            &[],
            &["O:*", "C:true", "M:PUT"],
            Err(Blocked::AllowOriginWildcard),
        ),
        (Include, "PUT", &[], &["O:PAGE", "C:true", "M:*"], method),
        (Include, "*", &[], &["O:PAGE", "C:true", "M:*"], Ok(())),
        (
            Include,
            "PUT",
            &["X-Foo"],
            &["O:PAGE", "C:true", "M:PUT", "H:*"],
            header,
        ),
        (
            Include,
            "PUT",
            &["Authorization"],
            &["O:PAGE", "C:true", "M:PUT", "H:*"],
            header,
        ),
        (Omit, "put", &[], &["O:PAGE", "M:PUT"], Ok(())),
        (Omit, "delete", &[], &["O:PAGE", "M:DELETE"], Ok(())),
        (Omit, "patch", &[], &["O:PAGE", "M:PATCH"], method),
        (Omit, "patch", &[], &["O:PAGE", "M:patch"], Ok(())),
        (Omit, "Patch", &[], &["O:PAGE", "M:PATCH"], method),
        (Omit, "PATCH", &[], &["O:PAGE", "M:PATCH"], Ok(())),
        (Omit, "PUT", &[], &["O:PAGE", "M:put"], method),
        (Omit, "PUT", &[], &["O:PAGE", "M:*"], Ok(())),
        (Omit, "PUT", &[], &["O:PAGE", "M:*, GET"], Ok(())),
        (Omit, "PUT", &[], &["O:PAGE"], method),
        (Omit, "PUT", &[], &["O:PAGE", "M:"], method),
        (Omit, "PUT", &[], &["O:PAGE", "M:GET", "M:PUT"], Ok(())),
        (Omit, "PUT", &[], &["O:PAGE", "M:GET,PUT"], Ok(())),
        (Omit, "PUT", &[], &["O:PAGE", "M:,GET ,, PUT,"], Ok(())),
        (Omit, "PUT", &[], &["O:PAGE", "M:GET PUT"], methods_malformed),
        (Omit, "PUT", &[], &["O:PAGE", "M:GET;PUT"], methods_malformed),
        (Omit, "PUT", &[], &["O:PAGE", "M:\"PUT\""], methods_malformed),
        (
            Omit,
            "POST",
            &["Content-Type"],
            &["O:PAGE", "H:content-type"],
            Ok(()),
        ),
        (Omit, "GET", &["X-Foo"], &["O:PAGE", "M:PUT", "H:x-foo"], Ok(())),
        (
            Omit,
            "GET",
            &["X-Foo"],
            &["O:PAGE", "M:GET POST", "H:x-foo"],
            methods_malformed,
        ),
        (Omit, "FOO", &[], &["O:PAGE", "M:FOO"], Ok(())),
        (Omit, "OPTIONS", &[], &["O:PAGE", "M:OPTIONS"], Ok(())),
        (Omit, "TRACE", &[], &["O:PAGE", "M:TRACE"], Err(Blocked::NotSent)),
        (Omit, "connect", &[], &["O:PAGE", "M:*"], Err(Blocked::NotSent)),
        (Omit, "GET", &["x-foo"], &["O:PAGE", "H:x-foo"], Ok(())),
        (Omit, "GET", &["x-foo"], &["O:PAGE", "H:X-FOO"], Ok(())),
        (Omit, "GET", &["x-foo"], &["O:PAGE", "H:*"], Ok(())),
        (Omit, "GET", &["Authorization"], &["O:PAGE", "H:*"], header),
        (Omit, "GET", &["Authorization", "X-Foo"], &["O:PAGE", "H:*"], header),
        (
            Omit,
            "GET",
            &["Authorization"],
            &["O:PAGE", "H:*, authorization"],
            Ok(()),
        ),
        (
            Omit,
            "GET",
            &["Authorization", "X-Foo"],
            &["O:PAGE", "H:*, Authorization"],
            Ok(()),
        ),
        (Omit, "GET", &["x-foo"], &["O:PAGE"], header),
        (Omit, "GET", &["x-foo"], &["O:PAGE", "H:"], header),
        (Omit, "GET", &["x-foo", "x-bar"], &["O:PAGE", "H:x-foo"], header),
        (
            Omit,
            "GET",
            &["x-foo", "x-bar"],
            &["O:PAGE", "H:x-foo", "H:x-bar"],
            Ok(()),
        ),
        (
            Omit,
            "GET",
            &["x-foo", "x-bar"],
            &["O:PAGE", "H:,x-foo ,, x-bar,"],
            Ok(()),
        ),
        (
            Omit,
            "GET",
            &["x-foo", "x-bar"],
            &["O:PAGE", "H:x-foo x-bar"],
            headers_malformed,
        ),
        (
            Omit,
            "GET",
            &["x-foo"],
            &["O:PAGE", "H:x-foo, bad name"],
            headers_malformed,
        ),
        (Omit, "GET", &["x-foo"], &["O:PAGE", "H:x-*"], header),
        (
            Omit,
            "PUT",
            &[],
            &["O:PAGE", "M:PUT", "H:bad name"],
            headers_malformed,
        ),
        (Omit, "PUT", &[], &["O:*", "M:PUT"], Ok(())),
        (
            Omit,
            "PUT",
            &[],
            &["O:PAGE", "O:PAGE", "M:PUT"],
            Err(Blocked::AllowOriginMultiple),
        ),
        (Omit, "PUT", &[], &["M:PUT"], Err(Blocked::AllowOriginMissing)),
    ];
    for (credentials, method, names, lines, verdict) in rows {
        let answer = response(200, lines);
        let found =
            preflighted(*credentials, method, names, &answer, Rules::FETCH);
        assert_eq!(found, *verdict, "{method} {names:?} {lines:?}");
    }
}

#[test]
fn where_browsers_part_from_the_standard() {
    let header = Err(Blocked::Header);
    let both = ["Authorization", "X-Foo"];
    let one = &both[..1];
    let rows: &[Row] = &[
        (Omit, "GET", one, &["O:PAGE", "H:*"], Ok(())),
        (Omit, "GET", &both, &["O:PAGE", "H:*"], Ok(())),
        (Omit, "GET", one, &["O:PAGE", "H:x-foo"], header),
        (Include, "GET", one, &["O:PAGE", "C:true", "H:*"], header),
    ];
    for (credentials, method, names, lines, verdict) in rows {
        let answer = response(200, lines);
        let found =
            preflighted(*credentials, method, names, &answer, Rules::SHIPPED);
        assert_eq!(found, *verdict, "{names:?} {lines:?}");
    }
}

#[test]
fn the_status_of_a_preflight() {
    for status in [200, 201, 202, 204, 205, 206, 226, 299] {
        let answer = response(status, &["O:PAGE", "M:PUT"]);
        let found = preflighted(Omit, "PUT", &[], &answer, Rules::FETCH);
        assert_eq!(found, Ok(()), "{status}");
    }
    for status in
        [301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 429, 500, 503]
    {
        let answer = response(status, &["O:PAGE", "M:PUT"]);
        let found = preflighted(Omit, "PUT", &[], &answer, Rules::FETCH);
        assert_eq!(found, Err(Blocked::PreflightStatus), "{status}");
    }
}

#[test]
fn a_forced_preflight_by_the_letter() {
    let mut fetch = Fetch {
        origin: PAGE.into(),
        method: b"PUT".to_vec(),
        unsafe_headers: Vec::new(),
        credentials: Omit,
        forced: true,
    };
    let silent = response(200, &["O:PAGE"]);
    let other = response(200, &["O:PAGE", "M:DELETE"]);
    assert_eq!(preflight_check(&fetch, &silent, Rules::FETCH), Ok(()));
    let denied = Err(Blocked::Method);
    assert_eq!(preflight_check(&fetch, &other, Rules::FETCH), denied);
    fetch.forced = false;
    assert_eq!(preflight_check(&fetch, &silent, Rules::FETCH), denied);
}

#[test]
fn what_a_page_can_read() {
    let all = [
        "access-control-allow-origin",
        "access-control-expose-headers",
        "content-type",
        "etag",
        "x-a",
        "x-b",
    ];
    let rows: &[(Credentials, &[&str], &[&str])] = &[
        (Omit, &[], &["content-type"]),
        (Omit, &["E:X-A"], &["content-type", "x-a"]),
        (Omit, &["E:x-a,X-B"], &["content-type", "x-a", "x-b"]),
        (Omit, &["E:x-a", "E:x-b"], &["content-type", "x-a", "x-b"]),
        (Omit, &["E:*"], &all),
        (Include, &["E:*"], &["content-type"]),
        (Include, &["E:*, X-A"], &["content-type", "x-a"]),
        (Omit, &["E:Set-Cookie"], &["content-type"]),
        (Omit, &["E:X-A, bad name"], &["content-type"]),
        (Omit, &["E:X-A X-B"], &["content-type"]),
        (Omit, &["E:x-missing"], &["content-type"]),
    ];
    for (credentials, expose, names) in rows {
        let mut lines = vec![
            "O:PAGE",
            "Content-Type:text/plain",
            "ETag:\"1\"",
            "X-A:1",
            "X-B:2",
            "Set-Cookie:a=b",
        ];
        lines.extend(*expose);
        let found = exposed_headers(&response(200, &lines), *credentials);
        assert_eq!(found, *names, "{expose:?}");
    }
}

#[test]
fn whose_timings_a_page_sees() {
    let rows: &[(&str, &[&str], bool)] = &[
        (PAGE, &[], false),
        (PAGE, &["T:"], false),
        (PAGE, &["T:*"], true),
        (PAGE, &["T:PAGE"], true),
        (PAGE, &["T:https://a.example, PAGE"], true),
        (PAGE, &["T:https://a.example,PAGE\t, https://b.example"], true),
        (PAGE, &["T:https://a.example", "T:PAGE"], true),
        (PAGE, &["T:https://a.example, *"], true),
        (PAGE, &["T:https://a.example PAGE"], false),
        (PAGE, &["T:PAGE/"], false),
        (PAGE, &["T:PAGE0"], false),
        (PAGE, &["T:HTTP://app.example.com:8080"], false),
        (PAGE, &["T:\"a, PAGE, b\""], false),
        (PAGE, &["T:\"a\\\", PAGE, b\""], false),
        (PAGE, &["T:\"a\", PAGE"], true),
        (PAGE, &["T:null"], false),
        (PAGE, &["O:PAGE"], false),
        ("null", &["T:null"], true),
        ("null", &["T:*"], true),
        ("null", &["T:NULL"], false),
    ];
    for (origin, lines, verdict) in rows {
        let found = timing_check(origin.as_bytes(), &response(200, lines));
        assert_eq!(found, *verdict, "{origin} {lines:?}");
    }
}

#[test]
fn preflights_as_sent() {
    let usual = |name: &str| ScriptHeader {
        name: name.as_bytes().to_vec(),
        unusual_value: false,
    };
    let unusual =
        |name: &str| ScriptHeader { unusual_value: true, ..usual(name) };
    let script = |method: &str, headers: &[ScriptHeader]| Script {
        origin: PAGE.into(),
        method: method.into(),
        headers: headers.to_vec(),
        credentials: Omit,
        forced: false,
    };
    /// A script, and what its preflight asks for: the method and, where there is one, the list.
    type Sent = (Script, Option<(&'static str, Option<&'static str>)>);
    let rows: Vec<Sent> = vec![
        (script("get", &[]), None),
        (script("head", &[]), None),
        (script("POST", &[usual("Content-Type")]), None),
        (
            script("POST", &[unusual("Content-Type")]),
            Some(("POST", Some("content-type"))),
        ),
        (script("put", &[]), Some(("PUT", None))),
        (script("patch", &[]), Some(("patch", None))),
        (script("options", &[]), Some(("OPTIONS", None))),
        (
            script(
                "POST",
                &[
                    usual("X-Zeta"),
                    usual("Authorization"),
                    usual("x-alpha"),
                    unusual("Content-Type"),
                    usual("Accept-Language"),
                    usual("ACCEPT"),
                ],
            ),
            Some(("POST", Some("authorization,content-type,x-alpha,x-zeta"))),
        ),
        (script("GET", &[usual("Range")]), None),
        (script("GET", &[unusual("Range")]), Some(("GET", Some("range")))),
        (
            script(
                "GET",
                &[usual("traceparent"), usual("X-B3-Foo"), usual("_x")],
            ),
            Some(("GET", Some("_x,traceparent,x-b3-foo"))),
        ),
        (Script { forced: true, ..script("POST", &[]) }, Some(("POST", None))),
    ];
    for (script, expected) in &rows {
        for dialect in [Dialect::Chromium, Dialect::Firefox] {
            let found = script.preflight(dialect).map(|preflight| {
                assert_eq!(preflight.method, b"OPTIONS");
                let value = |wanted: &str| {
                    let mut lines = preflight.lines.iter();
                    let line =
                        lines.find(|(name, _)| name == wanted.as_bytes());
                    line.map(|(_, value)| {
                        String::from_utf8(value.clone()).unwrap()
                    })
                };
                assert_eq!(value("Origin").as_deref(), Some(PAGE));
                (
                    value("Access-Control-Request-Method").unwrap(),
                    value("Access-Control-Request-Headers"),
                )
            });
            let found = found.as_ref().map(|(m, h)| (m.as_str(), h.as_deref()));
            assert_eq!(found, *expected, "{script:?}");
        }
    }
    let twice = script("GET", &[usual("X-Foo"), usual("x-foo")]);
    let list = |dialect| twice.preflight(dialect).unwrap().lines[1].1.clone();
    assert_eq!(list(Dialect::Chromium), b"x-foo");
    assert_eq!(list(Dialect::Firefox), b"x-foo,x-foo");
}
