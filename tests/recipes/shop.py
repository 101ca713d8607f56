"""The events and profiles of a small shop, made so that every recipe has customers on both sides of it."""

import json
import random
from datetime import datetime, timedelta, timezone

AS_OF = datetime(2026, 3, 15, 12, tzinfo=timezone.utc)
CUSTOMERS = 400
CATEGORIES = ("books", "coffee machines", "coffee beans", "toys", "garden")
PRODUCTS = [f"{category.split()[-1]}-{number}" for category in CATEGORIES for number in range(1, 5)]
CITIES = ("pune", "mumbai", "delhi", "berlin", "lyon")


class Shop:
    """Draws the life of each customer; `events` are (customer, type, time, data)."""

    def __init__(self, seed=17):
        self.rng = random.Random(seed)
        self.events, self.profiles = [], {}
        for number in range(1, CUSTOMERS + 1):
            self.customer(f"c{number}")

    def add(self, customer, event_type, at, **data):
        if at <= AS_OF + timedelta(days=3):  # a few are still to come
            self.events.append((customer, event_type, at, data))

    def ago(self, low, high):
        """A time in a range of days ago, sometimes exactly on the day."""
        days = self.rng.uniform(low, high)
        return AS_OF - timedelta(days=round(days) if self.rng.random() < 0.2 else days)

    def buy(self, customer, at, product=None):
        rng = self.rng
        product = product or rng.choice(PRODUCTS)
        data = {
            "product": product,
            "category": CATEGORIES[PRODUCTS.index(product) // 4],
            "price": rng.choice((9.90, 25, 40, 120.50, 199.99, 200, 250, 480)),
            "quantity": rng.randint(1, 3),
            "channel": rng.choice(("web", "web", "app", "shop")),
            "items": [
                {"sku": rng.choice(("kettle", "mug", "filter")), "quantity": rng.randint(1, 3)}
                for _ in range(rng.randint(1, 3))
            ],
        }
        if rng.random() < self.thrift:
            data["coupon"] = rng.choice(("SPRING", "VIP"))
        self.add(customer, "purchase", at, **data)

    def customer(self, customer):
        rng = self.rng
        joined = self.ago(0, 500)
        self.thrift = rng.choice((0, 0.4, 0.4, 1))  # how often coupons are used
        if rng.random() < 0.93:
            self.profiles[customer] = self.profile(joined)
        if rng.random() < 0.04:
            return  # a profile, and nothing done
        activity = rng.choice((0, 1, 1, 2, 3))
        since = (AS_OF - joined).days
        if rng.random() < 0.6:
            self.add(customer, "install", joined - timedelta(hours=rng.uniform(0, 100)), platform=self.platform())
        if rng.random() < 0.8:
            self.add(customer, "signup", joined)
        for _ in range(rng.choice((0, 0, 1, 1, 2, 3, 6, 9)) * max(1, activity)):
            self.buy(customer, self.ago(rng.choice((0, 0, 0, 40, 110)), max(1, since)))
        if rng.random() < 0.3:
            self.buy(customer, joined + timedelta(days=rng.uniform(0, 12)))
        for _ in range(rng.randrange(4)):
            self.cart(customer)
        for _ in range(rng.randrange(6) * activity):
            self.add(customer, "visit", self.ago(0, rng.choice((10, 30, 200))), page=rng.choice(("home", "sale", "product")))
        for _ in range(rng.randrange(8) * activity):
            self.add(customer, "login", self.ago(0, rng.choice((20, 60, 300))), platform=self.platform())
        self.mails(customer)
        self.subscription(customer)
        if rng.random() < 0.3:
            self.add(customer, "review", self.ago(0, 60), stars=rng.randint(1, 5))
        for _ in range(rng.choice((0, 0, 0, 1, 2, 3))):
            self.add(customer, "support", self.ago(0, 60), topic=rng.choice(("refund", "complaint", "question")))

    def platform(self):
        return self.rng.choice(("android", "ios", "web"))

    def profile(self, joined):
        rng = self.rng
        made = {
            "city": rng.choice(CITIES),
            "consent": rng.random() < 0.8,
            "birthday": f"{rng.randint(1950, 2005)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}",
            "joined": joined.date().isoformat(),
            "company": rng.choice([f"firm {number}" for number in range(80)]),
            "credit": rng.choice((100, 200, 450)),
            "contract_ends": (AS_OF + timedelta(days=rng.randint(-60, 120))).date().isoformat(),
        }
        for key in ("city", "birthday", "company", "credit"):
            if rng.random() < 0.08:
                del made[key]
        return made

    def cart(self, customer):
        """A cart, and perhaps its product bought in time, too late, or another one instead."""
        rng = self.rng
        at, product = self.ago(0, rng.choice((7, 9, 60))), rng.choice(PRODUCTS)
        self.add(customer, "cart", at, product=product, price=rng.choice((10, 99, 300)))
        kind = rng.random()
        if kind < 0.25:
            self.buy(customer, at + timedelta(hours=rng.uniform(0.1, 23)), product)
        elif kind < 0.4:
            self.buy(customer, at + timedelta(hours=rng.uniform(25, 60)), product)
        elif kind < 0.55:
            self.buy(customer, at + timedelta(hours=1), rng.choice(PRODUCTS))

    def mails(self, customer):
        rng = self.rng
        for week in range(rng.choice((0, 4, 8))):
            at = AS_OF - timedelta(days=7 * week, hours=rng.uniform(1, 20))
            self.add(customer, "mail_sent", at, campaign=f"week {week}")
            if rng.random() < 0.3:
                self.add(customer, "mail_opened", at + timedelta(hours=rng.uniform(0.1, 30)), campaign=f"week {week}")
        if rng.random() < 0.1:
            self.add(customer, "unsubscribe", self.ago(0, 200))

    def subscription(self, customer):
        rng = self.rng
        if rng.random() < 0.5:
            return
        started = self.ago(0, rng.choice((15, 15, 300)))
        self.add(customer, "trial", started, days=14)
        if rng.random() < 0.5:
            paid = started + timedelta(days=rng.uniform(1, 14))
            self.add(customer, "subscribe", paid, plan="pro")
            if rng.random() < 0.6:
                cancelled = paid + timedelta(days=rng.uniform(5, 90))
                self.add(customer, "cancel", cancelled, reason=rng.choice(("price", "moved", "other")))
                if rng.random() < 0.5:
                    self.add(customer, "subscribe", cancelled + timedelta(days=rng.uniform(1, 60)), plan="basic")

    def script(self):
        """SQL for psql that loads all of it."""
        lines = ["COPY cohort_customer (customer_id, profile) FROM STDIN;"]
        lines += [f"{customer}\t{json.dumps(profile)}" for customer, profile in self.profiles.items()]
        lines += ["\\.", "COPY cohort_event (customer_id, event_type, occurred_at, data) FROM STDIN;"]
        lines += [f"{who}\t{what}\t{at.isoformat()}\t{json.dumps(data)}" for who, what, at, data in self.events]
        return "\n".join([*lines, "\\.", ""])
