//! A publisher, the server of its site, and a user.

use super::publisher::{Published, Publisher};
use super::scripted::{Reply, Scripted};
use super::server::{Kind, Server};
use super::tree::Tree;
use super::user::User;

/// Everything that a test needs; the server stops first.
pub struct World<S> {
    pub server: S,
    pub publisher: Publisher,
    pub user: User,
}

impl World<Server> {
    /// With a real server; none when it is not installed.
    pub fn on(kind: Kind) -> Option<Self> {
        let mut publisher = Publisher::new();
        let server = Server::start(kind, &publisher.site())?;
        publisher.serve_at([server.url()]);
        let user = User::trusting(&publisher);
        Some(Self { server, publisher, user })
    }
}

impl World<Scripted> {
    /// With a server that follows a script.
    pub fn scripted(script: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let mut publisher = Publisher::new();
        let server = Scripted::serve(&publisher.site(), script);
        publisher.serve_at([server.url()]);
        let user = User::trusting(&publisher);
        Self { server, publisher, user }
    }

    /// With a server that does what servers do.
    pub fn honest() -> Self {
        Self::scripted(|_| Reply::Site)
    }

    /// An honest world with version 1 installed and version 2 published, and both trees; what
    /// changes is fetched whole.
    #[track_caller]
    pub fn outdated() -> (Self, Published, Tree, Tree) {
        let world = Self::honest();
        let (one, two) = (Tree::from_seed(1), Tree::from_seed(1).mutate(2));
        world.publish("1.0.0", &one);
        world.install("core");
        let published = world.publisher.release("core", "2.0.0", &two).whole().sign();
        world.server.take_requests();
        (world, published, one, two)
    }
}

/// A server with an address.
pub trait Serving {
    /// Ends in a slash.
    fn url(&self) -> String;
}

impl<S: Serving> World<S> {
    /// The address of a component's manifest.
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
