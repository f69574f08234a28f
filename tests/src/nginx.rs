//! An nginx with the policies of these tests, and an application behind it.

use std::ops::Deref;

use libcors_testkit::{
    http::{self, Application},
    nginx::{Folder, Installation, Server},
};

use crate::front::{Front, POLICIES};

/// An nginx of one `http` block, and the application behind it.
#[derive(Debug)]
pub struct Host {
    /// Its files.
    pub folder: Folder,
    front: Front,
    application: Application,
}

impl Host {
    /// A host whose configuration has these texts at its two levels; `$port` and
    /// `$app` are the ports.
    pub fn new(http: &str, server: &str) -> Host {
        let application = Application::start().unwrap();
        let port = http::free_port().unwrap();
        let installation = Installation::find().unwrap();
        let folder = installation.prepare(&[("cors.toml", POLICIES)]).unwrap();
        let page = "page\n".repeat(1000);
        for name in ["html/page.txt", "html/a.html", "html/errors/e.html"] {
            folder.write(name, &page).unwrap();
        }
        let front = Front { port };
        let host = Host { folder, front, application };
        host.configure(http, server);
        host
    }

    /// Writes another configuration.
    pub fn configure(&self, http: &str, server: &str) {
        let conf = format!(
            "{}http {{\ncors_policies cors.toml;\naccess_log off;\n\
             default_type text/plain;\n{http}\n\
             server {{\nlisten 127.0.0.1:{};\nroot html;\n{server}\n}}\n}}\n",
            self.folder.preamble(""),
            self.port
        );
        let conf = conf
            .replace("$port", &self.port.to_string())
            .replace("$app", &self.application.port().to_string());
        self.folder.write("nginx.conf", &conf).unwrap();
    }

    /// Starts nginx.
    pub fn start(&self) -> Server<'_> {
        self.folder.start(self.port).unwrap()
    }
}

impl Deref for Host {
    type Target = Front;

    fn deref(&self) -> &Front {
        &self.front
    }
}
