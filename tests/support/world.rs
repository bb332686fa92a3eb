//! A publisher, the server of its site, and a user.

use super::publisher::{Published, Publisher};
use super::scripted::{Reply, Scripted, ScriptedRequest};
use super::server::{Server, ServerKind};
use super::tree::Tree;
use super::user::User;

/// The three parts of a test. The server stops first.
pub struct World<S> {
    pub server: S,
    pub publisher: Publisher,
    pub user: User,
}

impl World<Server> {
    /// Creates a world with a real server. Returns `None` if it is not installed.
    pub fn on(kind: ServerKind) -> Option<Self> {
        let mut publisher = Publisher::new();
        let server = Server::start(kind, &publisher.site())?;
        publisher.serve_at([server.url()]);
        let user = User::trusting(&publisher);
        Some(Self { server, publisher, user })
    }
}

impl World<Scripted> {
    /// Creates a world with a server that follows a script.
    pub fn scripted(script: impl Fn(&ScriptedRequest) -> Reply + Send + Sync + 'static) -> Self {
        let mut publisher = Publisher::new();
        let server = Scripted::serve(&publisher.site(), script);
        publisher.serve_at([server.url()]);
        let user = User::trusting(&publisher);
        Self { server, publisher, user }
    }

    /// Creates a world with a server that answers with the site's files.
    pub fn honest() -> Self {
        Self::scripted(|_| Reply::Site)
    }

    /// Creates an honest world with version 1 installed and version 2 published, without deltas.
    /// Returns both trees as well.
    #[track_caller]
    pub fn outdated() -> (Self, Published, Tree, Tree) {
        let world = Self::honest();
        let (one, two) = (Tree::from_seed(1), Tree::from_seed(1).mutate(2));
        world.publish("1.0.0", &one);
        world.install("core");
        let published = world.publisher.release("core", "2.0.0", &two).whole().sign();
        world.server.take_paths();
        (world, published, one, two)
    }
}

/// A server with a base URL.
pub trait Serving {
    /// Returns the base URL, with a slash at its end.
    fn url(&self) -> String;
}

impl<S: Serving> World<S> {
    /// Returns the address of a component's manifest.
    pub fn manifest_url(&self, component: &str) -> String {
        format!("{}{component}/manifest.xml", self.server.url())
    }

    /// Publishes the component `core`.
    #[track_caller]
    pub fn publish(&self, version: &str, tree: &Tree) -> Published {
        self.publisher.release("core", version, tree).sign()
    }

    /// Installs the latest release of a component.
    #[track_caller]
    pub fn install(&self, component: &str) {
        self.user.ok(&["install", component, "--from", &self.manifest_url(component)]);
    }
}
