//! An answer to a call, in as many packets as it takes.

use crate::broken::Broken;
use crate::packet::FLAG_END_OF_ANSWER;
use crate::wire::Wire;

/// Says that an answer ends, to clients that want to know.
const END_OF_ANSWER: u8 = 29;

/// How the end of an answer is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By its last message.
    Silent,
    /// By a mark behind its last message, and a flag on its last packet.
    Marked,
}

/// An answer that is written. What fills a packet is sent at once.
pub struct Answer<'a> {
    /// What is not sent yet.
    pub out: Vec<u8>,
    wire: &'a mut Wire,
}

impl<'a> Answer<'a> {
    /// A new answer.
    pub fn new(wire: &'a mut Wire) -> Self {
        Self { out: Vec::new(), wire }
    }

    /// The connection, while an answer is under way.
    pub fn wire(&mut self) -> &mut Wire {
        self.wire
    }

    /// Sends what fills packets.
    pub fn spill(&mut self) -> Result<(), Broken> {
        let room = self.wire.room();
        let mut sent = 0;
        // The last bytes stay, so that there is a packet to say in that the answer ends.
        while self.out.len() - sent > room {
            self.wire.send_data(0, &self.out[sent..sent + room])?;
            sent += room;
        }
        self.out.drain(..sent);
        Ok(())
    }

    /// Sends all that is there, though more is to come.
    pub fn flush(&mut self) -> Result<(), Broken> {
        self.spill()?;
        if !self.out.is_empty() {
            self.wire.send_data(0, &self.out)?;
            self.out.clear();
        }
        Ok(())
    }

    /// Sends the rest.
    pub fn finish(mut self, end: End) -> Result<(), Broken> {
        if end == End::Marked {
            self.out.push(END_OF_ANSWER);
        }
        self.spill()?;
        let flags = if end == End::Marked { FLAG_END_OF_ANSWER } else { 0 };
        self.wire.send_data(flags, &self.out)
    }
}
