//! A broker of a test's own that lets everybody in, and then refuses topics or sends as no broker would.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// CONNACK: it lets the client in.
const WELCOME: &[u8] = &[0x20, 2, 0, 0];
/// The largest length of a packet.
const LENGTH_MAX: usize = 268_435_455;
/// PUBLISH: the beginning of a message of this length to the topic `t`, at most once.
const MESSAGE: &[u8] = &[0x30, 0xFF, 0xFF, 0xFF, 0x7F, 0, 1, b't'];

/// The thing that it sends without end.
#[derive(Debug, Clone, Copy)]
pub enum Mood {
    /// Answers to pings that nobody has sent.
    Packets,
    /// Messages of the largest length that there is.
    Message,
    /// The greeting of the largest length that there is.
    Greeting,
    /// Nothing: it refuses the topic that is asked for.
    Refusal,
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
    read(&mut stream).await?;
    match mood {
        Mood::Packets => {
            stream.write_all(WELCOME).await.ok()?;
            send_on(&mut stream, &[0xD0, 0]).await
        }
        Mood::Message => {
            stream.write_all(WELCOME).await.ok()?;
            answer(&mut stream, 0).await?;
            let piece = [b'x'; 32 * 1024];
            loop {
                stream.write_all(MESSAGE).await.ok()?;
                let mut left = LENGTH_MAX - 3;
                while left > 0 {
                    let size = piece.len().min(left);
                    stream.write_all(&piece[..size]).await.ok()?;
                    left -= size;
                }
            }
        }
        Mood::Greeting => {
            let greeting = [0x20, 0xFF, 0xFF, 0xFF, 0x7F];
            stream.write_all(&greeting).await.ok()?;
            send_on(&mut stream, &[0, 0]).await
        }
        Mood::Refusal => {
            stream.write_all(WELCOME).await.ok()?;
            loop {
                answer(&mut stream, 0x80).await?;
            }
        }
    }
}

/// Reads a packet. If it is SUBSCRIBE, answers it with this code for its one topic.
async fn answer(stream: &mut TcpStream, code: u8) -> Option<()> {
    if let [0x82, _, high, low, ..] = read(stream).await?[..] {
        let answer = [0x90, 3, high, low, code];
        stream.write_all(&answer).await.ok()?;
    }
    Some(())
}

async fn read(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut packet = vec![0; 1024];
    let size = stream.read(&mut packet).await.ok()?;
    packet.truncate(size);
    (size > 0).then_some(packet)
}

async fn send_on(stream: &mut TcpStream, more: &[u8]) -> Option<()> {
    let more = more.repeat(16 * 1024);
    loop {
        stream.write_all(&more).await.ok()?;
    }
}
