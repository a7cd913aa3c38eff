"""What a call costs, on tariffs as carriers have them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amsmail.link.tariff import Tariff, make

IRIDIUM = Tariff(currency="USD", increment=20, per_increment="0.50")
BGAN = Tariff(currency="USD", per_mb="6.25")
STREAMING = Tariff(currency="USD", setup_charge="1.00", per_minute="3.40")
CERTUS = Tariff(currency="USD", per_mb="5.00", minimum="0.025", idle_floor=30)
GSM = Tariff(currency="EUR", increment=1, per_minute="0.09", setup_charge="0.05", minimum="0.10")
IRIDIUM_BY_MINUTE = Tariff(currency="USD", increment=20, per_minute="1.50")

PRICE = st.decimals(0, 100, places=3).map(str) | st.just("")
TARIFFS = st.builds(Tariff, currency=st.just("EUR"), setup_charge=PRICE, increment=st.integers(0, 90),
                    per_increment=PRICE, per_minute=PRICE, minimum=PRICE, per_mb=PRICE, idle_floor=st.integers(0, 5000))
SECONDS = st.integers(0, 10**5) | st.floats(0, 10**5)
OCTETS = st.integers(0, 10**9)


@pytest.mark.parametrize("tariff, seconds, octets, cost", [
    # The time by 20 s: every one begun counts
    (IRIDIUM, 0, 0, "0.00"),
    (IRIDIUM, 0.1, 0, "0.50"),
    (IRIDIUM, 20, 10**6, "0.50"),
    (IRIDIUM, 20.1, 0, "1.00"),
    (IRIDIUM, 21, 0, "1.00"),
    (IRIDIUM, 3600, 0, "90.00"),
    (IRIDIUM_BY_MINUTE, 21, 0, "1.00"),
    (IRIDIUM_BY_MINUTE, 60, 0, "1.50"),
    # The octets, exactly
    (BGAN, 3600, 0, "0.00"),
    (BGAN, 3600, 10**6, "6.25"),
    (BGAN, 0, 1_234_567, "7.72"),           # 7.71604
    # The minute, every one begun
    (STREAMING, 1, 10**9, "4.40"),
    (STREAMING, 60, 0, "4.40"),
    (STREAMING, 61, 0, "7.80"),
    # What is charged while nobody sends, and at the least
    (CERTUS, 10, 100, "0.03"),              # 300 octets by the floor: 0.0015, so the minimum, 0.025
    (CERTUS, 3600, 100, "0.54"),            # 108,000 octets by the floor
    (CERTUS, 3600, 108_000, "0.54"),
    (CERTUS, 3600, 200_000, "1.00"),
    # By the second
    (GSM, 1, 0, "0.10"),
    (GSM, 100, 0, "0.20"),
    (GSM, 101, 0, "0.20"),                  # 0.2015
    (GSM, 60.5, 0, "0.14"),                 # 61 s: 0.1415
    # Nothing is charged
    (Tariff(), 3600, 10**9, "0.00"),
])
def test_a_call_costs(tariff, seconds, octets, cost):
    assert str(tariff.cost(seconds, octets)) == cost


@pytest.mark.parametrize("octets, cost", [(4_999, "0.00"), (5_000, "0.01"), (14_999, "0.01"), (15_000, "0.02")])
def test_half_a_cent_is_rounded_up(octets, cost):
    assert Tariff(currency="EUR", per_mb="1").cost(0, octets) == Decimal(cost)


def test_only_the_sum_is_rounded():
    """Each alone would be 0.00; together they are 0.0052."""
    tariff = Tariff(currency="EUR", setup_charge="0.004", per_mb="1", increment=1, per_increment="0.0001")
    assert str(tariff.cost(2, 1000)) == "0.01"


def test_a_price_that_binary_numbers_cannot_hold_is_exact():
    """21 increments of 0.145 are 3.045, which is 3.05; the nearest binary numbers make less of it."""
    assert str(Tariff(currency="EUR", increment=1, per_increment="0.145").cost(21, 0)) == "3.05"


def test_a_tenth_of_a_second_is_a_tenth():
    """0.3 s at 50,000 octets/s are 15,000 octets, 0.015; the binary number 0.3 is a little less."""
    assert str(Tariff(currency="EUR", per_mb="1", idle_floor=50_000).cost(0.3, 0)) == "0.02"


@given(TARIFFS, SECONDS, SECONDS, OCTETS, OCTETS)
def test_more_seconds_or_octets_never_cost_less(tariff, seconds, more_seconds, octets, more_octets):
    (seconds, more_seconds), (octets, more_octets) = sorted([seconds, more_seconds]), sorted([octets, more_octets])
    assert tariff.cost(seconds, octets) <= tariff.cost(more_seconds, more_octets)


@given(TARIFFS, SECONDS, OCTETS)
def test_a_cost_has_two_places_and_is_no_less_than_the_minimum(tariff, seconds, octets):
    cost = tariff.cost(seconds, octets)
    assert cost.as_tuple().exponent == -2
    assert cost >= Decimal(tariff.minimum or 0) - Decimal("0.005")


@pytest.mark.parametrize("tariff", [IRIDIUM, STREAMING, CERTUS, GSM])
def test_where_time_is_paid_and_the_rate_is_not_known_nothing_can_be_expected(tariff):
    assert tariff.estimate(10**6, 0) is None
    assert tariff.estimate(10**6, 0, rates=(64_000, 64_000)) is not None


@pytest.mark.parametrize("tariff, expected", [(BGAN, "6.69"), (Tariff(), "0.00")])
def test_where_only_octets_are_paid_the_rate_does_not_matter(tariff, expected):
    """1 MB, 6 % of headers and acknowledgements, 10 kB to begin with: 1.07 MB."""
    assert str(tariff.estimate(10**6, 0)) == str(tariff.estimate(0, 10**6, (600, 600), 2)) == expected


@pytest.mark.parametrize("up, down, seconds", [
    (0, 0, 86.7 + 16),             # the beginning of a session: 8 turns of 2 s, and 6500 octets down
    (30_000, 0, 462.7 + 16),       # 34,700 up
    (0, 30_000, 502.7 + 16),       # 37,700 down
    (30_000, 30_000, 510.7 + 16),  # both at the same time: 38,300 down
])
def test_an_estimate_is_the_time_that_the_busier_way_takes(up, down, seconds):
    by_second = Tariff(currency="EUR", increment=1, per_increment="1")
    estimate = by_second.estimate(up, down, rates=(600, 600), round_trip=2)
    assert abs(estimate - Decimal(seconds)) <= 1


def test_a_round_trip_that_is_not_known_is_taken_to_be_long():
    by_second = Tariff(currency="EUR", increment=1, per_increment="1")
    rates = 2400, 2400
    assert by_second.estimate(1000, 0, rates) == by_second.estimate(1000, 0, rates, 2)
    assert by_second.estimate(1000, 0, rates) > by_second.estimate(1000, 0, rates, 1)


@given(TARIFFS, OCTETS, OCTETS, OCTETS)
def test_more_mail_is_never_expected_to_cost_less(tariff, up, more_up, down):
    up, more_up = sorted([up, more_up])
    rates = 64_000, 128_000
    assert tariff.estimate(up, down, rates, 1.4) <= tariff.estimate(more_up, down, rates, 1.4)
    assert tariff.estimate(down, up, rates, 1.4) <= tariff.estimate(down, more_up, rates, 1.4)


def test_a_tariff_is_what_a_links_section_says():
    section = {"type": "ppp", "entry": "iridium", "currency": "USD", "setup_charge": "", "increment": 20,
               "per_increment": "0.50", "per_minute": "", "minimum": "", "per_mb": "", "idle_floor": 0}
    assert make(section) == IRIDIUM
    assert make({"type": "always"}) == Tariff()
