mod damaged;
mod reference;
mod round_trip;
mod support;
