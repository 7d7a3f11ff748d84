//! One connection to a broker, from its handshake to its end.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rumqttc::{
    ConnAck, Connect, ConnectReturnCode, Disconnect, Login, MqttState, Packet, PingReq, PubAck,
    Publish, QoS, Request, Subscribe, SubscribeFilter, Unsubscribe,
};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::codec::Framed;

use super::{
    dial::dial,
    flood::Flood,
    packets::{Incoming, Packets},
    settings::{Broker, quality},
};
use crate::outgoing::{Guard, dial::Stream};

/// Maximum time to connect and log in.
const OPEN_TIMEOUT: Duration = Duration::from_secs(15);
/// Maximum time to send a packet.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum number of unacknowledged messages in flight; AWS IoT Core allows 100.
pub const IN_FLIGHT_MAX: u16 = 64;

/// Lifetime of the session at the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// The session ends with the connection.
    Connection,
    /// The session outlives the connection: the broker keeps messages for the client id.
    Lasting,
}

/// One connection.
pub struct Session {
    framed: Framed<Box<dyn Stream>, Packets>,
    state: MqttState,
    keep_alive: Duration,
    ping_at: Instant,
    flood: Flood,
    /// True if the broker had a session of this client.
    pub is_resumed: bool,
}

/// The next thing to do, see [`Session::wait`].
#[derive(Debug)]
pub enum SessionEvent {
    /// The broker has sent a packet.
    Incoming(Incoming),
    /// A ping is due.
    PingDue,
}

impl Session {
    /// Connects to the broker and logs in; the error is for a person.
    pub async fn open(broker: &Broker, guard: &Guard, life: Life) -> Result<Self, String> {
        timeout(OPEN_TIMEOUT, Self::open_now(broker, guard, life))
            .await
            .map_err(|_| "no answer in time".to_owned())?
    }

    async fn open_now(broker: &Broker, guard: &Guard, life: Life) -> Result<Self, String> {
        let mut framed = Framed::new(dial(broker, guard).await?, Packets::default());
        let connect = hello(broker, life);
        framed
            .send(Packet::Connect(connect))
            .await
            .map_err(cut_off)?;
        let ConnAck {
            session_present,
            code,
        } = match framed.next().await {
            Some(Ok(Incoming::Packet(Packet::ConnAck(answer)))) => answer,
            Some(Ok(_)) => return Err("the broker does not speak MQTT 3.1.1".to_owned()),
            Some(Err(error)) => return Err(cut_off(error)),
            None => return Err("the broker closed the connection".to_owned()),
        };
        if code != ConnectReturnCode::Success {
            return Err(refusal(code).to_owned());
        }
        let keep_alive = Duration::from_secs(broker.settings.keep_alive_s.into());
        Ok(Self {
            framed,
            state: MqttState::new(IN_FLIGHT_MAX, true),
            keep_alive,
            ping_at: Instant::now() + keep_alive,
            flood: Flood::new(Instant::now()),
            is_resumed: session_present,
        })
    }

    /// Waits for the next event to [`Session::handle`]. Cancel-safe.
    pub async fn wait(&mut self) -> Result<SessionEvent, String> {
        tokio::select! {
            incoming = self.framed.next() => match incoming {
                Some(Ok(incoming)) => Ok(SessionEvent::Incoming(incoming)),
                Some(Err(error)) => Err(cut_off(error)),
                None => Err("the broker closed the connection".to_owned()),
            },
            () = sleep_until(self.ping_at) => Ok(SessionEvent::PingDue),
        }
    }

    /// Handles an event as the protocol requires, and returns a packet that the broker has sent. Not
    /// cancel-safe.
    pub async fn handle(&mut self, happening: SessionEvent) -> Result<Option<Incoming>, String> {
        if matches!(happening, SessionEvent::Incoming(_)) {
            self.flood.count(Instant::now())?;
        }
        match happening {
            SessionEvent::PingDue => {
                self.ping_at = Instant::now() + self.keep_alive;
                if self.framed.codec_mut().has_skipped() {
                    self.state.await_pingresp = false;
                }
                self.send(Request::PingReq(PingReq)).await?;
                Ok(None)
            }
            // A message that is too large is not passed to the protocol's state: only
            // [`Session::acknowledge`] answers it.
            SessionEvent::Incoming(Incoming::TooLarge(publish)) => {
                Ok(Some(Incoming::TooLarge(publish)))
            }
            SessionEvent::Incoming(Incoming::Packet(packet)) => {
                let answer = self.state.handle_incoming_packet(packet.clone());
                self.state.events.clear();
                if let Some(answer) = answer.map_err(|error| error.to_string())? {
                    self.write(answer).await?;
                }
                Ok(Some(Incoming::Packet(packet)))
            }
        }
    }

    /// Subscribes to these topic filters, with at most this quality of service.
    pub async fn subscribe(&mut self, filters: &[String], qos: QoS) -> Result<(), String> {
        let filters = filters
            .iter()
            .map(|filter| SubscribeFilter::new(filter.clone(), qos));
        self.send(Request::Subscribe(Subscribe::new_many(filters)))
            .await
    }

    /// Unsubscribes from these topic filters.
    pub async fn unsubscribe(&mut self, filters: &[String]) -> Result<(), String> {
        for filter in filters {
            self.send(Request::Unsubscribe(Unsubscribe::new(filter.clone())))
                .await?;
        }
        Ok(())
    }

    /// Publishes a message; `packet_id` must be free, and is 0 if nothing is acknowledged.
    pub async fn publish(&mut self, mut publish: Publish, packet_id: u16) -> Result<(), String> {
        publish.pkid = packet_id;
        self.send(Request::Publish(publish)).await
    }

    /// Acknowledges a message to the broker after it has been stored.
    pub async fn acknowledge(&mut self, packet_id: u16) -> Result<(), String> {
        self.send(Request::PubAck(PubAck::new(packet_id))).await
    }

    /// Disconnects without the last will.
    pub async fn close(mut self) {
        // Nobody is left to report a failure to.
        let _ = self.send(Request::Disconnect(Disconnect)).await;
        let _ = timeout(WRITE_TIMEOUT, self.framed.close()).await;
    }

    async fn send(&mut self, request: Request) -> Result<(), String> {
        let packet = self.state.handle_outgoing_packet(request);
        self.state.events.clear();
        match packet.map_err(|error| error.to_string())? {
            Some(packet) => self.write(packet).await,
            None => Ok(()),
        }
    }

    async fn write(&mut self, packet: Packet) -> Result<(), String> {
        match timeout(WRITE_TIMEOUT, self.framed.send(packet)).await {
            Ok(sent) => sent.map_err(cut_off),
            Err(_) => Err("the broker takes nothing".to_owned()),
        }
    }
}

fn hello(broker: &Broker, life: Life) -> Connect {
    let mut connect = Connect::new(broker.client_id());
    connect.keep_alive = broker.settings.keep_alive_s;
    connect.clean_session = life == Life::Connection;
    connect.login = broker
        .login()
        .map(|(username, password)| Login { username, password });
    connect.last_will = broker.settings.last_will.as_ref().map(|will| {
        rumqttc::LastWill::new(
            will.topic.clone(),
            will.payload.clone(),
            quality(will.qos),
            will.retain,
        )
    });
    connect
}

fn refusal(code: ConnectReturnCode) -> &'static str {
    match code {
        ConnectReturnCode::Success => "the broker let the hub in",
        ConnectReturnCode::RefusedProtocolVersion => "the broker does not speak MQTT 3.1.1",
        ConnectReturnCode::BadClientId => "the broker refuses the client id",
        ConnectReturnCode::ServiceUnavailable => "the broker is not available",
        ConnectReturnCode::BadUserNamePassword => "the broker refuses user or password",
        ConnectReturnCode::NotAuthorized => "the broker does not let the hub in",
    }
}

fn cut_off(error: impl std::fmt::Display) -> String {
    format!("the connection broke: {error}")
}
