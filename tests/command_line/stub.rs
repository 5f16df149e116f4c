//! Something that listens and is no registry and no orchestrator.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

/// Gives every caller the same answer until it is dropped.
pub struct Stub {
    pub url: String,
    /// What was asked, one first line each.
    pub asked: Receiver<String>,
}

impl Stub {
    /// Answers with this status line and body.
    pub fn answering(status: &'static str, body: &'static str) -> Stub {
        Stub::start(move |stream| {
            let head =
                format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            stream.write_all((head + body).as_bytes()).ok();
        })
    }

    /// Answers with these bytes.
    pub fn saying(bytes: &'static [u8]) -> Stub {
        Stub::start(move |stream| drop(stream.write_all(bytes)))
    }

    /// Takes calls and never answers.
    pub fn silent() -> Stub {
        Stub::start(|stream| {
            // Until the caller gives up.
            std::io::copy(stream, &mut std::io::sink()).ok();
        })
    }

    fn start(answer: impl Fn(&mut TcpStream) + Send + 'static) -> Stub {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (noted, asked): (Sender<String>, _) = channel();
        // It ends with the process: nothing waits for it.
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut bytes = [0; 4096];
                let length = stream.read(&mut bytes).unwrap_or(0);
                let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
                noted.send(text.lines().next().unwrap_or_default().to_owned()).ok();
                answer(&mut stream);
            }
        });
        Stub { url, asked }
    }
}
