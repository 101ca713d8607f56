//! When events count: windows, anchors and units of the calendar.

use chrono::Weekday;

use super::{EventTypes, Property, Where};
use crate::time::{DateValue, Interval};

/// `time`: which events count.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "a condition has one of them, and a rule few conditions")]
pub enum Times {
    /// Written as an object.
    One(Window),
    /// Written as a non-empty list of forms that must all hold.
    All(Vec<Window>),
}

impl Times {
    /// The forms that must all hold.
    #[must_use]
    pub fn forms(&self) -> &[Window] {
        match self {
            Self::One(window) => std::slice::from_ref(window),
            Self::All(windows) => windows,
        }
    }
}

/// One form of `time`. `I` is the interval, `t` the event's time.
#[derive(Debug, Clone, PartialEq)]
pub enum Window {
    /// `as_of - I < t <= as_of`.
    InTheLast(Interval),
    /// `t <= as_of - I`.
    MoreThanAgo(Interval),
    /// `as_of - I1 < t <= as_of - I2`, the longer first.
    BetweenAgo(Interval, Interval),
    /// `t >=` that instant.
    Since(DateValue),
    /// `t <` that instant.
    Before(DateValue),
    /// From the first instant to the last, inclusive; a date as the end covers its whole day.
    Between(DateValue, DateValue),
    /// The calendar unit that holds `as_of`.
    This(CalendarUnit),
    /// This number of complete units before it.
    Previous(Units),
    /// The local day is one of these.
    Weekday(Weekdays),
    /// The local time of day.
    Hours(Hours),
    /// `a <= t <= a + I`.
    From(Anchor, Option<Interval>),
    /// `a - I <= t <= a`.
    Until(Anchor, Option<Interval>),
}

/// An instant of each customer's own.
#[derive(Debug, Clone, PartialEq)]
pub enum Anchor {
    /// That of the first event.
    First(AnchorEvent),
    /// That of the last one.
    Last(AnchorEvent),
    /// A property of the profile, read as a date.
    Profile(Property),
}

/// The events of which an anchor takes one.
#[derive(Debug, Clone, PartialEq)]
pub struct AnchorEvent {
    /// Which events.
    pub events: EventTypes,
    /// Conditions on the event's own data.
    pub filter: Option<Where>,
}

/// `weekday`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Weekdays {
    /// Written as a text.
    One(Weekday),
    /// Any of a non-empty list.
    Many(Vec<Weekday>),
}

impl Weekdays {
    /// The days.
    #[must_use]
    pub fn days(&self) -> &[Weekday] {
        match self {
            Self::One(day) => std::slice::from_ref(day),
            Self::Many(days) => days,
        }
    }
}

/// The days of the week with the names rules use.
pub const WEEKDAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Mon),
    ("tuesday", Weekday::Tue),
    ("wednesday", Weekday::Wed),
    ("thursday", Weekday::Thu),
    ("friday", Weekday::Fri),
    ("saturday", Weekday::Sat),
    ("sunday", Weekday::Sun),
];

/// The name that rules use for a day of the week.
#[must_use]
pub fn weekday_name(day: Weekday) -> &'static str {
    WEEKDAYS[day.num_days_from_monday() as usize].0
}

/// `hours`: from one minute of the day to another, the latter not included; over midnight if it is not the later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    /// Minutes since midnight.
    pub from: u16,
    /// Minutes since midnight, 1,440 for `24:00`.
    pub to: u16,
}

impl Hours {
    /// How rules write a minute of the day.
    #[must_use]
    pub fn text(minute: u16) -> String {
        format!("{:02}:{:02}", minute / 60, minute % 60)
    }
}

/// A number of calendar units: `"3 months"`, or `"month"` for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Units {
    /// As written.
    pub text: String,
    /// From 1 to 1,000.
    pub count: u16,
    /// Which.
    pub unit: CalendarUnit,
}

/// A calendar unit in the rule's zone; weeks start on Monday.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CalendarUnit {
    /// A day.
    Day,
    /// Monday to Sunday.
    Week,
    /// A month.
    Month,
    /// A quarter.
    Quarter,
    /// A year.
    Year,
}

impl CalendarUnit {
    /// All of them, with the names rules use.
    pub const ALL: [(&'static str, Self); 5] = [
        ("day", Self::Day),
        ("week", Self::Week),
        ("month", Self::Month),
        ("quarter", Self::Quarter),
        ("year", Self::Year),
    ];

    /// The name rules use, which is also that of PostgreSQL's `date_trunc`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
        }
    }
}
