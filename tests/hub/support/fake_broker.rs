//! A broker of a test's own that lets everybody in and then sends as no broker would.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// CONNACK: it lets the client in.
const WELCOME: &[u8] = &[0x20, 2, 0, 0];

/// The thing that it sends without end.
#[derive(Debug, Clone, Copy)]
pub enum Mood {
    /// Answers to pings that nobody has sent.
    Packets,
    /// One message of the largest length that there is.
    Message,
    /// The greeting of the largest length that there is.
    Greeting,
}

pub struct FakeBroker {
    pub url: String,
    task: JoinHandle<()>,
}

impl FakeBroker {
    pub async fn start(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("mqtt://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, mood));
            }
        });
        Self { url, task }
    }
}

impl Drop for FakeBroker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Sends until the other end has had enough.
async fn serve(mut stream: TcpStream, mood: Mood) -> Option<()> {
    let mut connect = [0; 1024];
    let has_asked = stream.read(&mut connect).await.ok()? > 0;
    has_asked.then_some(())?;
    let (begin, more): (&[u8], &[u8]) = match mood {
        Mood::Packets => (WELCOME, &[0xD0, 0]),
        // A message to the topic `t`, at most once.
        Mood::Message => (
            &[0x20, 2, 0, 0, 0x30, 0xFF, 0xFF, 0xFF, 0x7F, 0, 1, b't'],
            b"xx",
        ),
        Mood::Greeting => (&[0x20, 0xFF, 0xFF, 0xFF, 0x7F], &[0, 0]),
    };
    stream.write_all(begin).await.ok()?;
    let more = more.repeat(16 * 1024);
    loop {
        stream.write_all(&more).await.ok()?;
    }
}
