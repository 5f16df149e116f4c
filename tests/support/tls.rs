//! Agents behind TLS, and authorities that vouch for them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Stands wherever a target can put text of its own into a certificate.
pub const CANARY: &str = "canary-7f3a.example";

/// A certificate authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate.
    pub pem: String,
}

/// A certificate chain with its key.
pub struct Identity {
    pub chain: Vec<CertificateDer<'static>>,
    pub pem: String,
    pub key_pem: String,
}

impl Authority {
    pub fn new() -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        let name = format!("{CANARY} {}", uuid::Uuid::new_v4());
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()).unwrap();
        roots
    }

    /// A certificate for servers and clients with these names.
    pub fn issue(&self, names: &[&str], edit: impl FnOnce(&mut CertificateParams)) -> Identity {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, CANARY);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        edit(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity {
            chain: vec![certificate.der().clone()],
            pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        }
    }
}

impl Identity {
    /// Signed by itself, as `openssl req -x509` makes it.
    pub fn self_signed(names: &[&str]) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Identity {
            chain: vec![certificate.der().clone()],
            pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        }
    }

    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).unwrap()
    }

    /// A server that shows it, with HTTP/2 and HTTP/1.1; `clients`: who may come.
    pub fn config(
        &self,
        versions: &[&'static rustls::SupportedProtocolVersion],
        clients: Option<&Authority>,
    ) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_protocol_versions(versions).unwrap();
        let builder = match clients {
            Some(authority) => {
                let roots = Arc::new(authority.roots());
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build().unwrap();
                builder.with_client_cert_verifier(verifier)
            }
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(self.chain.clone(), self.key()).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config
    }
}

/// What happened at an agent.
#[derive(Debug, Default)]
pub struct SeenTls {
    /// Connections that were accepted.
    pub connections: AtomicU64,
    /// Handshakes that took up an older session.
    pub resumed: AtomicU64,
    /// The names that were asked for.
    pub names: Mutex<Vec<Option<String>>>,
    /// What stood in `authorization`, request by request.
    pub credentials: Mutex<Vec<Option<String>>>,
}

/// An agent behind TLS that speaks HTTP/1.1 (any path, and an agent card at its place) and the gRPC health service.
pub struct TlsAgent {
    pub address: SocketAddr,
    pub seen: Arc<SeenTls>,
    config: Arc<Mutex<Arc<ServerConfig>>>,
    wanted: Arc<Mutex<Option<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for TlsAgent {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl TlsAgent {
    pub async fn start(config: ServerConfig) -> TlsAgent {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(SeenTls::default());
        let config = Arc::new(Mutex::new(Arc::new(config)));
        let wanted: Arc<Mutex<Option<String>>> = Arc::default();
        let (noted, used, asked) = (Arc::clone(&seen), Arc::clone(&config), Arc::clone(&wanted));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                noted.connections.fetch_add(1, Relaxed);
                let config = Arc::clone(&used.lock().unwrap());
                let wanted = asked.lock().unwrap().clone();
                tokio::spawn(serve(stream, config, wanted, Arc::clone(&noted)));
            }
        });
        TlsAgent { address, seen, config, wanted, task }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// From the next connection on.
    pub fn set_config(&self, config: ServerConfig) {
        *self.config.lock().unwrap() = Arc::new(config);
    }

    /// Whoever does not send this in `authorization` is answered with 401.
    pub fn want(&self, credential: Option<&str>) {
        *self.wanted.lock().unwrap() = credential.map(str::to_owned);
    }

    /// What was sent with the last request.
    pub fn last_credential(&self) -> Option<String> {
        self.seen.credentials.lock().unwrap().last().cloned().flatten()
    }
}

const CARD: &str = r#"{"name": "n", "description": "d", "version": "1", "capabilities": {}, "defaultInputModes": [],
    "defaultOutputModes": [], "skills": [], "protocolVersion": "0.3.0", "url": "http://a"}"#;

async fn serve(stream: TcpStream, config: Arc<ServerConfig>, wanted: Option<String>, seen: Arc<SeenTls>) {
    let Ok(stream) = TlsAcceptor::from(config).accept(stream).await else { return };
    let (_, connection) = stream.get_ref();
    if connection.handshake_kind() == Some(HandshakeKind::Resumed) {
        seen.resumed.fetch_add(1, Relaxed);
    }
    seen.names.lock().unwrap().push(connection.server_name().map(str::to_owned));
    if connection.alpn_protocol() == Some(b"h2") {
        serve_grpc(stream, wanted, seen).await;
    } else {
        serve_http(stream, wanted, seen).await;
    }
}

async fn serve_http(mut stream: TlsStream<TcpStream>, wanted: Option<String>, seen: Arc<SeenTls>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).await.unwrap_or(0) == 0 {
            return;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let credential = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("authorization").then(|| value.to_owned())
    });
    seen.credentials.lock().unwrap().push(credential.clone());
    let (status, body) = match head.split(' ').nth(1).unwrap_or_default() {
        _ if wanted.is_some() && credential != wanted => ("401 Unauthorized", ""),
        "/.well-known/agent-card.json" => ("200 OK", CARD),
        "/moved" => ("302 Found\r\nlocation: https://127.0.0.1:1/", ""),
        _ => ("200 OK", "{}"),
    };
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await.ok();
    stream.shutdown().await.ok();
}

async fn serve_grpc(stream: TlsStream<TcpStream>, wanted: Option<String>, seen: Arc<SeenTls>) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let credential = request.headers().get("authorization").map(|v| v.to_str().unwrap().to_owned());
        seen.credentials.lock().unwrap().push(credential.clone());
        let head = http::Response::builder().header("content-type", "application/grpc");
        if wanted.is_some() && credential != wanted {
            respond.send_response(head.header("grpc-status", "16").body(()).unwrap(), true).ok();
            continue;
        }
        let mut body = respond.send_response(head.body(()).unwrap(), false).unwrap();
        body.send_data(vec![0, 0, 0, 0, 2, 8, 1].into(), false).unwrap();
        let mut trailers = http::HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().unwrap());
        body.send_trailers(trailers).unwrap();
    }
}
