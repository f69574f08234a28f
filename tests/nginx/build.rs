//! How the module is built and loaded: what is refused, and beside what it
//! works.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use libcors_testkit::nginx::Installation;
use libcors_tests::{
    front::{APP, EVIL, assert_allowed, assert_denied, cors_lines},
    nginx::Host,
};

#[test]
fn a_static_build_is_refused() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../bindings/nginx");
    let run = |link: &str| {
        let script = format!("ngx_module_link={link}; . ./config");
        Command::new("sh")
            .args(["-c", &script])
            .env("CORS_INC", "/nowhere")
            .env("CORS_LIB", "/nowhere")
            .current_dir(dir)
            .output()
            .unwrap()
    };
    for (link, text) in [
        ("ADDON", "use --add-dynamic-module in place of --add-module"),
        ("DYNAMIC", "set CORS_INC"),
    ] {
        let output = run(link);
        let seen = String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success(), "{seen}");
        assert!(seen.contains(text), "{seen}");
    }
}

#[test]
fn an_nginx_without_cors_has_nothing_of_it() {
    let host = Host::new("cors off;", "error_page 404 /errors/e.html;");
    let server = host.start();
    for path in ["/page.txt", "/missing"] {
        let reply = host.get(path, APP);
        assert_eq!((cors_lines(&reply), reply.values("vary").len()), (0, 0));
    }
    drop(server);
    // Not even a block of http is needed.
    let installation = Installation::find().unwrap();
    let folder = installation.prepare(&[]).unwrap();
    folder.write("nginx.conf", &folder.preamble("")).unwrap();
    let (good, text) = folder.check().unwrap();
    assert!(good, "{text}");
}

/// The module for this nginx, built for another version of the library's ABI.
#[test]
fn a_library_of_another_abi_version_is_refused() {
    let module = Installation::find().unwrap().module.unwrap();
    let out = module.parent().unwrap();
    let base = out.parent().unwrap();
    let (objects, source) = match out.join("objs").is_dir() {
        true => (out.join("objs"), PathBuf::from("/usr/share/nginx/src")),
        false => (base.join("objs"), base.join("src")),
    };
    let host = Host::new("", "cors api;");
    let copy = host.folder.path().join("objs");
    let status = Command::new("cp").arg("-R").args([&objects, &copy]).status();
    assert!(status.unwrap().success());
    // The clock of files is too coarse for make.
    fs::remove_file(copy.join("addon/nginx/ngx_http_cors_module.o")).unwrap();

    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let include = root.join("include").canonicalize().unwrap();
    let header = fs::read_to_string(include.join("cors.h")).unwrap();
    let start = header.find("#define CORS_ABI_VERSION ").unwrap();
    let end = start + header[start..].find('\n').unwrap();
    let (before, after) = (&header[..start], &header[end..]);
    let header = format!("{before}#define CORS_ABI_VERSION 9999{after}");
    host.folder.write("include/cors.h", &header).unwrap();

    let makefile = host.folder.read("objs/Makefile");
    let makefile = makefile
        .replace(objects.to_str().unwrap(), copy.to_str().unwrap())
        .replace(
            include.to_str().unwrap(),
            host.folder.path().join("include").to_str().unwrap(),
        );
    host.folder.write("objs/Makefile", &makefile).unwrap();
    let output = Command::new("make")
        .arg("-f")
        .arg(copy.join("Makefile"))
        .arg("modules")
        .current_dir(source)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");

    let conf = host.folder.read("nginx.conf").replace(
        module.to_str().unwrap(),
        copy.join("ngx_http_cors_module.so").to_str().unwrap(),
    );
    host.folder.write("nginx.conf", &conf).unwrap();
    let (good, text) = host.folder.check().unwrap();
    assert!(!good, "{text}");
    assert!(text.contains("the module was built for version 9999"), "{text}");
}

/// The order in which dynamic modules are loaded does not matter to headers.
#[test]
fn headers_more_before_and_after() {
    let other = "/usr/lib/nginx/modules/ngx_http_headers_more_filter_module.so";
    assert!(
        Path::new(other).exists(),
        "{other} is missing: install libnginx-mod-http-headers-more-filter"
    );
    let host = Host::new(
        "",
        "cors api; more_set_headers 'Access-Control-Allow-Origin: wrong' \
         'Access-Control-Max-Age: 1' 'Vary: X-More';",
    );
    let conf = host.folder.read("nginx.conf");
    let (first, rest) = conf.split_once('\n').unwrap();
    assert!(first.starts_with("load_module "), "{first}");
    for order in [
        format!("load_module {other};\n{first}\n{rest}"),
        format!("{first}\nload_module {other};\n{rest}"),
    ] {
        host.folder.write("nginx.conf", &order).unwrap();
        let server = host.start();
        for path in ["/page.txt", "/missing"] {
            let reply = host.get(path, APP);
            assert_allowed(&reply, reply.status, APP);
            assert_eq!(reply.value("vary"), "X-More, Origin");
            assert_eq!(reply.values("access-control-max-age").len(), 0);
            assert_denied(&host.get(path, EVIL), reply.status);
        }
        let reply = host.preflight("/page.txt", APP);
        assert_eq!(reply.status, 204);
        assert_eq!(reply.value("access-control-allow-origin"), APP);
        assert_eq!(reply.value("access-control-max-age"), "600");
        drop(server);
    }
}

/// Lua may end a request in any phase, and after a pause.
#[test]
fn lua_in_every_phase() {
    let folder = "/usr/lib/nginx/modules";
    let other = format!("{folder}/ngx_http_lua_module.so");
    assert!(
        Path::new(&other).exists(),
        "{other} is missing: install libnginx-mod-http-lua"
    );
    let host = Host::new(
        "",
        r#"
        cors wild;
        location /rewrite { cors api;
                            rewrite_by_lua_block { ngx.exit(404) } }
        location /later { cors api; rewrite_by_lua_block {
                              ngx.sleep(0.01) ngx.exit(404) } }
        location /access { cors api; access_by_lua_block {
                               ngx.sleep(0.01) ngx.exit(403) } }
        location /content { cors api; content_by_lua_block {
                                ngx.header["Access-Control-Allow-Origin"] = "wrong"
                                ngx.say("content") } }
        location /page { cors open; return 200 page; }
        "#,
    );
    let conf = host.folder.read("nginx.conf");
    let conf = format!(
        "load_module {folder}/ndk_http_module.so;\nload_module {other};\n{conf}"
    );
    for pages in ["", "error_page 403 404 /page;"] {
        let conf = conf.replace("cors wild;", &format!("cors wild; {pages}"));
        host.folder.write("nginx.conf", &conf).unwrap();
        let server = host.start();
        for (path, status) in [
            ("/rewrite", 404),
            ("/later", 404),
            ("/access", 403),
            ("/content", 200),
        ] {
            assert_allowed(&host.get(path, APP), status, APP);
            assert_denied(&host.get(path, EVIL), status);
        }
        drop(server);
    }
}
