//! Places of connections: limits in all and by address, and eviction when they are reached.
//!
//! An idle connection gives way to a new one, the longest idle first. So connections that send nothing or half a
//! request keep no client out, however many there are: a client that sends a request in time is served before its turn
//! to give way comes.

use crate::config::ConnectionLimits;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// The places of a server.
pub(super) struct ConnectionPlaces {
    limits: ConnectionLimits,
    proxies: Vec<IpNet>,
    taken: Mutex<PlaceTable>,
}

#[derive(Default)]
struct PlaceTable {
    total: usize,
    by_source: HashMap<IpAddr, usize>,
    /// Numbers the turns in which connections fell idle.
    turns: u64,
    /// Connections without a request, by the turn in which they give way.
    idle: BTreeMap<u64, (Option<IpAddr>, CancellationToken)>,
    idle_by_source: HashMap<IpAddr, BTreeSet<u64>>,
}

/// The place of a connection; free again when it is dropped.
pub(super) struct ConnectionPlace {
    places: Arc<ConnectionPlaces>,
    /// The address that the place counts for; `None` for a trusted proxy.
    source: Option<IpAddr>,
    /// The turn in which the connection gives way, while it is idle.
    turn: Mutex<Option<u64>>,
    /// Cancelled when the connection has to give way.
    pub(super) given_up: CancellationToken,
}

impl ConnectionPlaces {
    pub(super) fn new(limits: ConnectionLimits, proxies: Vec<IpNet>) -> Arc<Self> {
        Arc::new(ConnectionPlaces { limits, proxies, taken: Mutex::default() })
    }

    /// Takes a place for a connection of `peer` without a request yet; `None` if all places are busy.
    pub(super) fn take(self: &Arc<Self>, peer: IpAddr) -> Option<ConnectionPlace> {
        let peer = peer.to_canonical();
        let source = (!self.proxies.iter().any(|net| net.contains(&peer))).then(|| source(peer));
        let mut taken = self.lock();
        if let Some(source) = source
            && taken.by_source.get(&source).copied().unwrap_or_default() >= self.limits.per_address
        {
            let longest = taken.idle_by_source.get(&source).and_then(BTreeSet::first).copied()?;
            taken.give_up(longest);
        }
        if taken.total >= self.limits.total {
            let longest = taken.idle.keys().next().copied()?;
            taken.give_up(longest);
        }
        taken.total += 1;
        if let Some(source) = source {
            *taken.by_source.entry(source).or_default() += 1;
        }
        drop(taken);
        let place = ConnectionPlace {
            places: Arc::clone(self),
            source,
            turn: Mutex::default(),
            given_up: CancellationToken::new(),
        };
        place.fell_idle();
        Some(place)
    }

    fn lock(&self) -> MutexGuard<'_, PlaceTable> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PlaceTable {
    /// Ends the idle connection with this turn; its place is free at once.
    fn give_up(&mut self, turn: u64) {
        if let Some((source, given_up)) = self.forget_idle(turn) {
            given_up.cancel();
            self.free(source);
            metrics::counter!("registrar_connections_given_up_total").increment(1);
        }
    }

    fn forget_idle(&mut self, turn: u64) -> Option<(Option<IpAddr>, CancellationToken)> {
        let (source, given_up) = self.idle.remove(&turn)?;
        if let Some(source) = source
            && let Some(turns) = self.idle_by_source.get_mut(&source)
        {
            turns.remove(&turn);
            if turns.is_empty() {
                self.idle_by_source.remove(&source);
            }
        }
        Some((source, given_up))
    }

    fn free(&mut self, source: Option<IpAddr>) {
        self.total -= 1;
        if let Some(source) = source
            && let Some(count) = self.by_source.get_mut(&source)
        {
            *count -= 1;
            if *count == 0 {
                self.by_source.remove(&source);
            }
        }
    }
}

impl ConnectionPlace {
    /// Notes that a request is being answered: until that ends, the connection does not give way.
    pub(super) fn got_busy(&self) {
        let mut taken = self.places.lock();
        if let Some(turn) = self.turn().take() {
            taken.forget_idle(turn);
        }
    }

    /// Notes that the connection waits for a request.
    pub(super) fn fell_idle(&self) {
        let mut taken = self.places.lock();
        if self.given_up.is_cancelled() {
            return;
        }
        taken.turns += 1;
        let turn = taken.turns;
        taken.idle.insert(turn, (self.source, self.given_up.clone()));
        if let Some(source) = self.source {
            taken.idle_by_source.entry(source).or_default().insert(turn);
        }
        *self.turn() = Some(turn);
    }

    fn turn(&self) -> MutexGuard<'_, Option<u64>> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        // An evicted connection has freed its place already.
        if !self.given_up.is_cancelled() {
            if let Some(turn) = self.turn().take() {
                taken.forget_idle(turn);
            }
            taken.free(self.source);
        }
    }
}

/// The source that an address counts for: for IPv6 a network, since a host has all addresses of one.
fn source(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(_) => IpNet::new(address, 64).map_or(address, |network| network.network()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn places(total: usize, per_address: usize) -> Arc<ConnectionPlaces> {
        ConnectionPlaces::new(ConnectionLimits { total, per_address }, vec!["10.0.0.0/8".parse().expect("a network")])
    }

    #[test]
    fn the_connection_that_has_waited_longest_gives_way() {
        let places = places(2, 10);
        let [one, two] = ["192.0.2.1", "192.0.2.2"].map(|peer| places.take(address(peer)).expect("a place"));
        let three = places.take(address("192.0.2.3")).expect("a place");
        assert!(one.given_up.is_cancelled() && !two.given_up.is_cancelled() && !three.given_up.is_cancelled());
        drop(one);
        two.got_busy();
        two.fell_idle();
        let _four = places.take(address("192.0.2.4")).expect("a place");
        assert!(three.given_up.is_cancelled() && !two.given_up.is_cancelled());
    }

    #[test]
    fn a_busy_connection_gives_way_to_none() {
        let places = places(1, 10);
        let busy = places.take(address("192.0.2.1")).expect("a place");
        busy.got_busy();
        assert!(places.take(address("192.0.2.2")).is_none());
        drop(busy);
        assert!(places.take(address("192.0.2.2")).is_some());
    }

    #[test]
    fn an_address_makes_room_among_its_own() {
        let places = places(10, 2);
        let other = places.take(address("198.51.100.1")).expect("a place");
        let own: Vec<_> =
            ["2001:db8::1", "2001:db8::2"].map(|peer| places.take(address(peer)).expect("a place")).into();
        let _third = places.take(address("2001:db8::ffff:1")).expect("a place");
        assert!(own[0].given_up.is_cancelled() && !own[1].given_up.is_cancelled() && !other.given_up.is_cancelled());
        let _elsewhere = places.take(address("2001:db8:0:1::1")).expect("a place");
        assert!(!own[1].given_up.is_cancelled());
    }

    #[test]
    fn a_trusted_proxy_is_not_counted_by_its_address() {
        let places = places(10, 1);
        let all: Vec<_> = (0..10).map(|_| places.take(address("10.0.0.1")).expect("a place")).collect();
        assert!(all.iter().all(|place| !place.given_up.is_cancelled()));
    }

    #[test]
    fn closed_connections_free_their_places() {
        let places = places(3, 3);
        for _ in 0..10 {
            let taken: Vec<_> = (0..3).map(|_| places.take(address("192.0.2.1")).expect("a place")).collect();
            taken[0].got_busy();
            drop(taken);
        }
        let taken = places.lock();
        assert_eq!((taken.total, taken.by_source.len(), taken.idle.len(), taken.idle_by_source.len()), (0, 0, 0, 0));
    }
}
