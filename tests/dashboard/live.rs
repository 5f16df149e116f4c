//! The stream of changes.

use std::net::SocketAddr;
use std::time::Duration;

use configurable_agents::dashboard::{Live, Settings};
use configurable_agents::domain::StatusWord;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use crate::fixtures::{Fixture, endpoint};
use crate::http::ask;

struct Event {
    name: String,
    id: Option<String>,
    data: Value,
}

struct Stream(BufReader<tokio::net::TcpStream>, String);

impl Stream {
    async fn open(address: SocketAddr, last: Option<&str>) -> Stream {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let last = last.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        let request =
            format!("GET /ui/events HTTP/1.1\r\nHost: {address}\r\nAccept-Encoding: gzip\r\n{last}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            reader.read_line(&mut head).await.unwrap();
        }
        Stream(reader, head)
    }

    async fn event(&mut self) -> Event {
        let (mut name, mut id, mut data) = (String::new(), None, Value::Null);
        loop {
            let mut line = String::new();
            let read = tokio::time::timeout(Duration::from_secs(20), self.0.read_line(&mut line));
            assert!(read.await.expect("an event within 20 s").unwrap() > 0, "the stream ended");
            match line.trim_end().split_once(": ") {
                Some(("event", value)) => value.clone_into(&mut name),
                Some(("id", value)) => id = Some(value.to_owned()),
                Some(("data", value)) => data = serde_json::from_str(value).unwrap(),
                _ if line.trim().is_empty() && !name.is_empty() => return Event { name, id, data },
                _ => {}
            }
        }
    }
}

fn quick(streams: usize) -> Settings {
    Settings {
        live: Live { beat: Duration::from_millis(100), streams, ..Live::default() },
        ..Settings::default()
    }
}

#[tokio::test]
async fn a_stream_greets_beats_and_tells_which_endpoints_changed() {
    let fixture = Fixture::normal();
    let (address, _) = fixture.serve(quick(5)).await;
    let mut stream = Stream::open(address, None).await;
    let head = stream.1.to_lowercase();
    for line in [
        "content-type: text/event-stream",
        "cache-control: no-store",
        "x-accel-buffering: no",
        "content-security-policy",
    ] {
        assert!(head.contains(line), "{line}: {head}");
    }
    assert!(!head.contains("content-encoding"), "{head}");
    let hello = stream.event().await;
    assert_eq!(
        (hello.name.as_str(), &hello.data["v"], &hello.data["data_age_s"]),
        ("hello", &8.into(), &1.into())
    );
    assert!(hello.data["build"].as_str().unwrap().starts_with("0."));
    assert_eq!(stream.event().await.name, "beat");
    fixture.view.put(endpoint("team-a", "writer", StatusWord::Ready, 1));
    let tick = loop {
        let event = stream.event().await;
        if event.name != "beat" {
            break event;
        }
    };
    assert_eq!((tick.name.as_str(), tick.id.as_deref()), ("tick", Some("9")));
    assert_eq!(tick.data["keys"], serde_json::json!(["team-a/writer"]));
    assert_eq!((&tick.data["counts"]["Failing"], &tick.data["counts"]["Ready"]), (&0.into(), &4.into()));
}

#[tokio::test]
async fn a_stream_that_was_cut_is_told_what_it_missed_or_that_it_missed_too_much() {
    let fixture = Fixture::normal();
    let (address, _) = fixture.serve(quick(5)).await;
    for (last, keys) in [
        ("7", vec!["team-c/summariser"]),
        ("6", vec!["team-c/summariser", "team-c/translator"]),
        ("999", vec![]),
    ] {
        let mut stream = Stream::open(address, Some(last)).await;
        assert_eq!(stream.event().await.name, "hello");
        let tick = stream.event().await;
        assert_eq!((tick.name.as_str(), &tick.data["keys"]), ("tick", &serde_json::json!(keys)), "{last}");
    }
    for n in 0..300 {
        fixture.view.put(endpoint("many", &format!("n{n}"), StatusWord::Ready, 1));
    }
    let mut stream = Stream::open(address, Some("8")).await;
    stream.event().await;
    assert_eq!(
        stream.event().await.data["keys"],
        serde_json::json!([]),
        "more than 200 are told as anything"
    );
}

#[tokio::test]
async fn one_reader_too_many_is_sent_away_and_has_a_place_when_another_left() {
    let (address, _) = Fixture::normal().serve(quick(2)).await;
    let mut first = Stream::open(address, None).await;
    let mut second = Stream::open(address, None).await;
    first.event().await;
    second.event().await;
    let answer = ask(address, "GET", "/ui/events", &[]).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("30")));
    assert_eq!(ask(address, "GET", "/ui/", &[]).await.status, 200, "pages have places of their own");
    drop(first);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let mut next = Stream::open(address, None).await;
        if next.1.starts_with("HTTP/1.1 200") {
            assert_eq!(next.event().await.name, "hello");
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "the place did not become free");
        tokio::task::yield_now().await;
    }
}
