//! The search for events of one customer that satisfy all steps.

use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use super::super::limits::Stop;
use super::super::values::{ENTRY, Side};
use super::Sequence;
use super::filter::{StepFilter, decide};
use super::history::{Event, History};
use super::states::{Open, Reached, Room, State, Way, Window};
use crate::rule::StepKind;

impl Sequence<'_> {
    /// Whether some assignment of these events, in order, satisfies all steps.
    pub(super) fn satisfied(&mut self, history: History<'_>) -> Result<bool, Stop> {
        let room = Room { budget: self.values.budget, taken: 0 };
        self.reaches_the_end(history, room)
    }

    fn reaches_the_end(&mut self, history: History<'_>, mut room: Room<'_>) -> Result<bool, Stop> {
        let steps = &self.plan.steps;
        let nothing: Rc<[u32]> = vec![0; self.plan.bound.len()].into();
        let first = steps.iter().position(|step| step.kind == StepKind::Did).unwrap_or(0);
        let mut reached = Reached::new(self.only_new(first));
        // Of each absence before the first step: when its latest event was so far.
        let mut present: Vec<Option<i64>> = vec![None; first];
        for (place, event) in history.events.iter().enumerate() {
            if history.step(event, first)
                && self.led_by_none(&present, event.at)
                && self.holds(first, history, event, &nothing)?
            {
                let deadline = self.plan.within.as_ref().map_or(i64::MAX, |within| self.clock.after(event.at, within));
                reached.add(place, self.keep(first, history, event, &nothing), deadline, &mut room)?;
            }
            for (absent, latest) in present.iter_mut().enumerate() {
                if history.step(event, absent) {
                    *latest = Some(event.at);
                }
            }
        }
        let mut states = reached.states;
        let mut step = first + 1;
        while step < steps.len() && !states.is_empty() {
            (self.check)();
            let absent = step;
            while step < steps.len() && steps[step].kind == StepKind::DidNot {
                step += 1;
            }
            if step == steps.len() {
                return self.followed_by_none(history, &states, absent..step, &mut room);
            }
            states = if self.alone(absent..=step) && !steps[step].is_windowed() {
                self.next_in_order(history, &states, absent..step, step, &mut room)?
            } else {
                self.next(history, &states, absent..step, step, &mut room)?
            };
            step += 1;
        }
        Ok(!states.is_empty())
    }

    /// Whether, of the states behind a step that carry the same, one counts only if none before it has as late a deadline:
    /// what comes after the later one also comes after the earlier, and nothing must be absent between.
    fn only_new(&self, step: usize) -> bool {
        self.plan.steps.get(step + 1).is_none_or(|next| next.kind != StepKind::DidNot && next.within.is_none())
    }

    /// Whether none of the events that must not come before the first step's has come too close, given the latest of each.
    fn led_by_none(&self, present: &[Option<i64>], at: i64) -> bool {
        present.iter().zip(&self.plan.steps).all(|(latest, step)| {
            latest
                .is_none_or(|latest| step.within.as_ref().is_some_and(|within| latest < self.clock.before(at, within)))
        })
    }

    /// Whether steps can be decided without looking at bound events, which none behind them asks about either.
    fn alone(&self, steps: std::ops::RangeInclusive<usize>) -> bool {
        let here = *steps.end();
        steps.clone().all(|step| matches!(self.answers[step], StepFilter::Known))
            && self.plan.bound.iter().all(|bound| bound.step >= here || bound.until <= here)
    }

    /// The states after a step, in one pass over the events: the latest deadline of a state since the last event that
    /// must not lie between.
    fn next_in_order(
        &self,
        history: History<'_>,
        states: &[State],
        absent: Range<usize>,
        step: usize,
        room: &mut Room<'_>,
    ) -> Result<Vec<State>, Stop> {
        let nothing: Rc<[u32]> = vec![0; self.plan.bound.len()].into();
        let mut next = Reached::new(self.only_new(step));
        let mut begun: Option<i64> = None;
        let mut states = states.iter().peekable();
        for (place, event) in history.events.iter().enumerate() {
            if let Some(deadline) = begun.filter(|deadline| history.step(event, step) && event.at <= *deadline) {
                next.add(place, self.keep(step, history, event, &nothing), deadline, room)?;
            }
            if absent.clone().any(|absent| history.step(event, absent)) {
                begun = None;
            }
            while let Some(state) = states.next_if(|state| state.place == place) {
                begun = Some(begun.map_or(state.deadline, |latest| latest.max(state.deadline)));
            }
        }
        Ok(next.states)
    }

    /// The states after a step that asks the time since the event of the step before, or whose filter, or that of what must be
    /// absent, asks about bound events: in one pass over the events, with the states that are open at each, found by the values
    /// that are compared.
    fn next(
        &mut self,
        history: History<'_>,
        states: &[State],
        absent: Range<usize>,
        step: usize,
        room: &mut Room<'_>,
    ) -> Result<Vec<State>, Stop> {
        let mut next = Reached::new(self.only_new(step));
        let ways = Arc::clone(&self.ways);
        let plan = &self.plan.steps[step];
        // Where what a step leads to depends on no state but for the deadline, the latest that it holds of is enough.
        let carries = self.plan.bound.iter().any(|bound| bound.step < step && bound.until > step);
        let known = |sequence: &Self, step: usize| matches!(sequence.answers[step], StepFilter::Known);
        // An event that binds nothing leads to what an earlier one led to, but from states that were not open then.
        let binds = self.plan.bound.iter().any(|bound| bound.step == step && bound.until > step);
        let only_fresh = self.only_new(step) && known(self, step) && !binds;
        let latest = !only_fresh && !carries && ways[step].iter().any(|way| way.joins.is_empty());
        let mut open = Open::new(&ways[absent.start..=step], latest);
        let mut states = states.iter().peekable();
        let mut asked = 0_u32;
        let mut found = Vec::new();
        for (place, event) in history.events.iter().enumerate() {
            if place % 1_024 == 0 {
                (self.check)();
            }
            if history.step(event, step) {
                open.begin(event.at);
                if only_fresh {
                    open.take_fresh(&mut found);
                } else if latest && ways[step].iter().any(|way| way.joins.is_empty() && way.is_open(history, event)) {
                    let mut behind = None;
                    while let Some((here, kept)) = open.latest(behind, event.at) {
                        self.pause(&mut asked);
                        if self.holds(step, history, event, &kept)? {
                            next.add(place, self.keep(step, history, event, &kept), here.0.0, room)?;
                            break;
                        }
                        behind = Some(here);
                    }
                } else {
                    self.candidates(&mut open, &ways[step], step - absent.start, (history, event), &mut found)?;
                }
                for id in found.drain(..) {
                    self.pause(&mut asked);
                    let Some((kept, deadline)) = open.get(id, event.at) else { continue };
                    if self.holds(step, history, event, &kept)? {
                        next.add(place, self.keep(step, history, event, &kept), deadline, room)?;
                    }
                }
            }
            for absent_step in absent.clone().filter(|absent| history.step(event, *absent)) {
                if known(self, absent_step) {
                    open.clear();
                    continue;
                }
                let number = absent_step - absent.start;
                self.candidates(&mut open, &ways[absent_step], number, (history, event), &mut found)?;
                for id in found.drain(..) {
                    self.pause(&mut asked);
                    let Some(kept) = open.kept(id) else { continue };
                    if self.holds(absent_step, history, event, &kept)? {
                        open.remove(id);
                    }
                }
            }
            while let Some(state) = states.next_if(|state| state.place == place) {
                let first = plan.after.as_ref().map_or(i64::MIN, |after| self.clock.after(event.at, after));
                let last = plan.within.as_ref().map_or(i64::MAX, |within| self.clock.after(event.at, within));
                let window = Window { first, last: last.min(state.deadline) };
                open.add(state, (window, event.at), &mut self.values, room)?;
            }
        }
        Ok(next.states)
    }

    /// Lets the evaluation be interrupted now and then.
    fn pause(&self, asked: &mut u32) {
        *asked = asked.wrapping_add(1);
        if asked.is_multiple_of(4_096) {
            (self.check)();
        }
    }

    /// The open states that an event may satisfy a step with: by the values that the step compares, where it does.
    fn candidates(
        &mut self,
        open: &mut Open<'_>,
        ways: &[Way],
        step: usize,
        (history, event): (History<'_>, &Event),
        found: &mut Vec<u32>,
    ) -> Result<(), Stop> {
        for (number, way) in ways.iter().enumerate() {
            if !way.is_open(history, event) {
                continue;
            }
            if way.joins.is_empty() {
                found.clear();
                found.extend_from_slice(&open.live);
                return Ok(());
            }
            let tokens = self.values.joint(&way.joins, Side::Own, |join| history.slot(event, join.own))?;
            tokens.iter().for_each(|token| open.by_token((step, number), *token, found));
        }
        Ok(())
    }

    /// Whether some state is followed by none of the events that must be absent.
    fn followed_by_none(
        &mut self,
        history: History<'_>,
        states: &[State],
        absent: Range<usize>,
        room: &mut Room<'_>,
    ) -> Result<bool, Stop> {
        let ways = Arc::clone(&self.ways);
        let ways = |step: usize| ways[step].iter().enumerate();
        // Of each step and way: the places of its events, all of them or by the values that are compared.
        let mut places: HashMap<(usize, usize, Option<u32>), Vec<u32>> = HashMap::new();
        for (place, event) in (0_u32..).zip(history.events) {
            if place % 1_024 == 0 {
                (self.check)();
            }
            for step in absent.clone().filter(|step| history.step(event, *step)) {
                for (number, way) in ways(step) {
                    if !way.is_open(history, event) {
                        continue;
                    }
                    if way.joins.is_empty() {
                        room.take(size_of::<u32>())?;
                        places.entry((step, number, None)).or_default().push(place);
                        continue;
                    }
                    for token in self.values.joint(&way.joins, Side::Own, |join| history.slot(event, join.own))?.iter()
                    {
                        room.take(ENTRY)?;
                        places.entry((step, number, Some(*token))).or_default().push(place);
                    }
                }
            }
        }
        let mut asked = 0;
        for State { place, kept, .. } in states {
            let from = history.events[*place].at;
            let bound = |within: &Option<_>| within.as_ref().map_or(i64::MAX, |within| self.clock.after(from, within));
            let of_all = bound(&self.plan.within);
            let limits: Vec<i64> =
                absent.clone().map(|step| bound(&self.plan.steps[step].within).min(of_all)).collect();
            let mut present = false;
            for (step, (number, way)) in absent.clone().flat_map(|step| ways(step).map(move |way| (step, way))) {
                let until = limits[step - absent.start];
                let mut keys = vec![(step, number, None)];
                if !way.joins.is_empty() {
                    let tokens = self.values.joint(&way.joins, Side::Other, |join| kept[join.other])?;
                    keys = tokens.iter().map(|token| (step, number, Some(*token))).collect();
                }
                for list in keys.iter().filter_map(|key| places.get(key)) {
                    let behind = list.partition_point(|other| *other as usize <= *place);
                    for other in &list[behind..] {
                        self.pause(&mut asked);
                        let event = &history.events[*other as usize];
                        if present || event.at > until {
                            break;
                        }
                        present = self.holds(step, history, event, kept)?;
                    }
                }
            }
            if !present {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What a state carries on behind a step: values that later steps ask about.
    fn keep(&self, step: usize, history: History<'_>, event: &Event, before: &[u32]) -> Rc<[u32]> {
        let bound = self.plan.bound.iter().zip(before);
        bound
            .map(|(bound, before)| match bound {
                bound if bound.until <= step => 0,
                bound if bound.step == step => history.slot(event, bound.slot),
                _ => *before,
            })
            .collect()
    }

    /// Whether a step's filter holds of an event, given the values that are bound.
    fn holds(&mut self, step: usize, history: History<'_>, event: &Event, kept: &[u32]) -> Result<bool, Stop> {
        match &self.answers[step] {
            StepFilter::Known => Ok(true),
            StepFilter::Refers(tree) => decide(tree, history, event, kept, &mut self.values, &self.clock),
        }
    }
}
