//! A bucket of an object store that speaks S3: Amazon's, Aliyun's OSS, MinIO, Ceph and others.

use super::{CheckedFile, Destination, ListedFile, RemoteFile, ResponseHeaders};
use crate::error::{Error, Result};
use futures_util::TryStreamExt as _;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, Checksum};
use object_store::path::Path as Key;
use object_store::{
    Attribute, Attributes, GetOptions, ObjectStore as _, ObjectStoreExt as _, PutMode, PutMultipartOptions, PutOptions,
    UpdateVersion,
};
use patcher::internal::error::Caller;
use patcher::internal::fs::Lock;
use patcher::internal::layout::SiteNames;
use patcher::internal::manifest::Object;
use std::collections::HashMap;
use std::io::Read as _;
use tokio::runtime::{Builder, Runtime};
use url::Url;

/// The size of the parts in which larger files are sent; a store takes at most 10,000 parts.
const PART_BYTES: u64 = 16 << 20;
/// The threads that drive connections. Callers wait in their own threads.
const DRIVER_THREADS: usize = 2;

/// The address style of a store that is not Amazon's.
#[derive(Debug, Default)]
pub struct StoreAddress {
    /// The store's base URL; `None` means `$AWS_ENDPOINT_URL`, or Amazon's.
    pub endpoint: Option<Url>,
    /// `true` for a bucket in the store's host name, as Aliyun OSS wants it, instead of in the
    /// path.
    pub virtual_hosted: bool,
}

/// A bucket, or a part of one.
pub struct Cloud {
    store: AmazonS3,
    runtime: Runtime,
    address: String,
    prefix: Key,
}

impl Cloud {
    /// Names the place `s3://BUCKET/PREFIX`.
    ///
    /// Keys, region and other settings of the store come from the usual variables (`AWS_*`).
    ///
    /// # Errors
    /// [`Caller::BadSetting`] for another address, [`Error::ObjectStore`] for settings that the
    /// store cannot have.
    pub fn new(address: &str, store: &StoreAddress) -> Result<Self> {
        let (bucket, prefix) = parse(address).map_err(|detail| {
            let value = address.to_owned();
            Error::from(Caller::BadSetting { setting: "destination", value, detail })
        })?;
        // The store's client uses the provider of the process. One that was set before will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(&bucket);
        if let Some(endpoint) = &store.endpoint {
            builder = builder.with_allow_http(endpoint.scheme() == "http");
            builder = builder.with_endpoint(host_of(endpoint, &bucket, store.virtual_hosted));
        }
        if store.virtual_hosted {
            builder = builder.with_virtual_hosted_style_request(true);
        }
        let builder = with_checksums(builder);
        let failed = |source| failed("use", address, source);
        let runtime = Builder::new_multi_thread().worker_threads(DRIVER_THREADS).enable_all().build();
        let runtime = runtime.map_err(|error| Error::io("start", "threads", error))?;
        let address = address.trim_end_matches('/').to_owned();
        Ok(Self { store: builder.build().map_err(failed)?, runtime, address, prefix })
    }

    fn key(&self, path: &str) -> Key {
        path.split('/').fold(self.prefix.clone(), |key, part| key.join(part))
    }

    /// Sends a large file part by part.
    fn put_parts(&self, path: &str, from: &CheckedFile, options: PutMultipartOptions) -> Result<()> {
        let mut file = from.reader()?;
        let failed = |source| failed("send", &self.name(path), source);
        let mut upload =
            self.runtime.block_on(self.store.put_multipart_opts(&self.key(path), options)).map_err(failed)?;
        let mut send = || loop {
            let mut part = Vec::new();
            let read = file.by_ref().take(PART_BYTES).read_to_end(&mut part);
            if read.map_err(|error| Error::io("read", from.path(), error))? == 0 {
                break self.runtime.block_on(upload.complete()).map(drop).map_err(failed);
            }
            self.runtime.block_on(upload.put_part(part.into())).map_err(failed)?;
        };
        let sent = send();
        if sent.is_err() {
            // Incomplete parts cost money. The error to report is the first one.
            let _ = self.runtime.block_on(upload.abort());
        }
        sent
    }
}

impl Destination for Cloud {
    fn list(&self, below: &str) -> Result<HashMap<String, ListedFile>> {
        let (key, start) = (self.key(below), self.prefix.parts().count());
        let mut files = HashMap::new();
        let listed = self.store.list(Some(&key)).try_for_each(|found| {
            let parts: Vec<String> = found.location.parts().skip(start).map(|part| part.as_ref().to_owned()).collect();
            files.insert(parts.join("/"), ListedFile { bytes: found.size, modified: found.last_modified.into() });
            std::future::ready(Ok(()))
        });
        self.runtime.block_on(listed).map_err(|source| failed("list", &self.name(below), source))?;
        Ok(files)
    }

    fn read(&self, path: &str) -> Result<Option<RemoteFile>> {
        let read = async {
            match self.store.get(&self.key(path)).await {
                Ok(found) => {
                    let etag = found.meta.e_tag.clone();
                    found.bytes().await.map(|bytes| Some(RemoteFile { bytes: bytes.to_vec(), etag }))
                }
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        };
        self.runtime.block_on(read).map_err(|source| failed("read", &self.name(path), source))
    }

    fn replace(&self, path: &str, bytes: &[u8], old: Option<&RemoteFile>, headers: ResponseHeaders) -> Result<()> {
        let put = |mode| {
            let options = PutOptions { mode, attributes: attributes(headers), ..PutOptions::default() };
            self.runtime.block_on(self.store.put_opts(&self.key(path), bytes.to_vec().into(), options))
        };
        let mode = match old {
            None => PutMode::Create,
            Some(old) => PutMode::Update(UpdateVersion { e_tag: old.etag.clone(), version: None }),
        };
        match put(mode) {
            Ok(_) => return Ok(()),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                return Err(Error::Conflict { place: self.name(path) });
            }
            // The store may have no conditional writes: some refuse the header.
            Err(_) => {}
        }
        if self.read(path)?.as_ref() != old {
            return Err(Error::Conflict { place: self.name(path) });
        }
        put(PutMode::Overwrite).map_err(|source| failed("send", &self.name(path), source))?;
        Ok(())
    }

    fn lock(&self, _: &SiteNames) -> Result<Option<Lock>> {
        Ok(None)
    }

    fn put(&self, path: &str, from: &CheckedFile, headers: ResponseHeaders) -> Result<()> {
        let attributes = attributes(headers);
        if from.bytes() > PART_BYTES {
            return self.put_parts(path, from, PutMultipartOptions { attributes, ..Default::default() });
        }
        let mut bytes = Vec::new();
        from.reader()?.read_to_end(&mut bytes).map_err(|error| Error::io("read", from.path(), error))?;
        let options = PutOptions { attributes, ..PutOptions::default() };
        let key = self.key(path);
        let put = self.store.put_opts(&key, bytes.into(), options);
        self.runtime.block_on(put).map_err(|source| failed("send", &self.name(path), source))?;
        Ok(())
    }

    fn check(&self, path: &str, object: &Object, headers: ResponseHeaders) -> Result<()> {
        let options = GetOptions { head: true, ..GetOptions::default() };
        let found = self.runtime.block_on(self.store.get_opts(&self.key(path), options));
        let found = found.map_err(|source| failed("look at", &self.name(path), source))?;
        let differs = |detail| Err(Error::CopyDiffers { place: self.name(path), detail });
        if found.meta.size != object.size {
            return differs(format!("it has {} bytes, not {}", found.meta.size, object.size));
        }
        let said = found.attributes.get(&Attribute::ContentType).map(AsRef::as_ref);
        if said != Some(headers.content_type) {
            return differs(format!("its type is {}, not {}", said.unwrap_or("unknown"), headers.content_type));
        }
        Ok(())
    }

    fn name(&self, path: &str) -> String {
        format!("{}/{path}", self.address)
    }
}

/// Lets Amazon's store verify and keep a SHA-256 of each object.
///
/// Elsewhere the signature of each request covers the hash of its bytes, and a store need not know
/// the header. `AWS_CHECKSUM_ALGORITHM` decides for any store.
fn with_checksums(builder: AmazonS3Builder) -> AmazonS3Builder {
    let is_set = |key| builder.get_config_value(&key).is_some();
    if is_set(AmazonS3ConfigKey::Checksum) || is_set(AmazonS3ConfigKey::Endpoint) {
        return builder;
    }
    builder.with_checksum_algorithm(Checksum::SHA256)
}

fn attributes(headers: ResponseHeaders) -> Attributes {
    Attributes::from_iter([
        (Attribute::ContentType, headers.content_type),
        (Attribute::CacheControl, headers.cache_control),
    ])
}

/// Splits an address into the bucket and the prefix.
fn parse(address: &str) -> Result<(String, Key), String> {
    let rest = address.strip_prefix("s3://").ok_or("neither a folder nor s3://BUCKET/PREFIX")?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() || bucket.contains(['?', '#', '@', ':']) {
        return Err("it names no bucket".to_owned());
    }
    Ok((bucket.to_owned(), Key::parse(prefix).map_err(|error| error.to_string())?))
}

/// Returns the base URL of a store, or of the bucket if the bucket is part of the host name.
fn host_of(endpoint: &Url, bucket: &str, virtual_hosted: bool) -> String {
    let endpoint = endpoint.as_str().trim_end_matches('/');
    match endpoint.split_once("://") {
        Some((scheme, host)) if virtual_hosted => format!("{scheme}://{bucket}.{host}"),
        _ => endpoint.to_owned(),
    }
}

fn failed(action: &'static str, place: &str, source: object_store::Error) -> Error {
    let detail = in_short(&source.to_string());
    Error::ObjectStore { action, place: place.to_owned(), detail, source: Box::new(source) }
}

/// Returns the first line of a store's answer, with the error code in place of a page of XML.
fn in_short(words: &str) -> String {
    let code = words.split_once("<Code>").and_then(|(_, rest)| Some(rest.split_once("</Code>")?.0));
    let start = words.split("<?xml").next().unwrap_or_default().lines().next().unwrap_or_default();
    match code {
        Some(code) => format!("{} ({code})", start.trim_end_matches([':', ' '])),
        None => start.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_bucket_and_may_have_a_prefix() {
        let key = |text: &str| Key::parse(text).unwrap();
        assert_eq!(parse("s3://updates"), Ok(("updates".into(), key(""))));
        assert_eq!(parse("s3://updates/"), Ok(("updates".into(), key(""))));
        assert_eq!(parse("s3://updates/a/b/"), Ok(("updates".into(), key("a/b"))));
        for wrong in
            ["s3://", "s3:///x", "gs://updates", "s3://user@updates/x", "s3://updates/a//x", "s3://updates/../x"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_stores_words_are_one_line() {
        let xml = "404 Not Found: <?xml version='1.0'?>\n<Error><Code>NoSuchBucket</Code><Message>x</Message></Error>";
        assert_eq!(in_short(xml), "404 Not Found (NoSuchBucket)");
        assert_eq!(in_short("connection refused\nmore"), "connection refused");
        assert_eq!(in_short(""), "");
    }

    #[test]
    fn amazons_store_gets_checksums_and_others_if_they_are_asked_for() {
        let checksum =
            |builder: AmazonS3Builder| with_checksums(builder).get_config_value(&AmazonS3ConfigKey::Checksum);
        let elsewhere = || AmazonS3Builder::new().with_endpoint("https://minio.example.com");
        assert_eq!(checksum(AmazonS3Builder::new()), Some("sha256".to_owned()));
        assert_eq!(checksum(elsewhere()), None);
        let crc = Checksum::CRC64NVME;
        assert_eq!(checksum(elsewhere().with_checksum_algorithm(crc)), Some("crc64nvme".to_owned()));
    }

    #[test]
    fn a_bucket_is_a_host_only_where_it_should_be() {
        let endpoint = "https://s3.oss-cn-hangzhou.aliyuncs.com".parse().unwrap();
        assert_eq!(host_of(&endpoint, "updates", true), "https://updates.s3.oss-cn-hangzhou.aliyuncs.com");
        assert_eq!(host_of(&endpoint, "updates", false), "https://s3.oss-cn-hangzhou.aliyuncs.com");
    }
}
