"""Live delivery: one request for a whole batch, and halves of it where the receiver refuses it."""

from collections.abc import Callable

from answers import Refused, items, judge
from componentize_py_types import Err
from members import KEY, Plan, Refusal
from sluice import Row, Rows, request
from wit_world.exports.exporter import Delivery
from wit_world.imports import http
from wit_world.imports.types import Rejection


def deliver(
    rows: Rows, plan: Plan, options: dict, send: Callable[[http.Request], http.Response]
) -> Delivery:
    """Sends a batch. In order: a later change of a member never goes out before an earlier one."""
    delivery = Delivery(rejected=[], retry=[], why=None, extra=[])
    good = []
    for row in rows:
        try:
            plan.key_of(row)
            good.append(row)
        except Refusal as refusal:
            delivery.rejected.append(Rejection(row.index, KEY, str(refusal)))
    # What is still to be sent, the next one last.
    ahead = [good] if good else []
    while ahead:
        some = ahead.pop()
        if delivery.why is not None:
            delivery.retry.extend(row.index for row in some)
            continue
        try:
            found = judge(send(changes(some, plan, options)), "members_path")
        except Err as error:
            # From here on everything has to wait.
            delivery.why = error.value
            delivery.retry.extend(row.index for row in some)
        except Refused as refused:
            if len(some) == 1:
                delivery.rejected.append(Rejection(some[0].index, None, refused.reason))
            else:
                # One of them is at fault, and the others are not: look for it.
                middle = len(some) // 2
                ahead += [some[middle:], some[:middle]]
        else:
            for index in sorted(set(items(found, "rejected", "index"))):
                if index < len(some):
                    reason = "the receiver rejected it"
                    delivery.rejected.append(Rejection(some[index].index, None, reason))
    return delivery


def changes(rows: list[Row], plan: Plan, options: dict) -> http.Request:
    """An array of changes."""
    body = ",".join(f'{{"change":"{row.change}","member":{plan.member(row)}}}' for row in rows)
    return request(
        "POST",
        options["members_path"],
        headers=[("content-type", "application/json")],
        body=http.Body_Bytes(f"[{body}]".encode()),
    )
