# SPDX-License-Identifier: GPL-2.0-only
"""Where a frame from the wire has to arrive: the rules of VMQ, said once more.

    o = Oracle(host_mac, {"vm1": (1, MAC), ...})   # ports: their queue and address
    o.add(queue, mac, vlan)                        # vlan: VID, UNTAGGED or ANY
    o.places(dst, tag, size)                       # [{"vm1"}, ...]: one of these sets, no other place

Written from what VMQ promises, for the program that judges a run; it has nothing
in common with the driver or with the models under tests/kunit. Places are names
of ports, and numbers: the receive queue that the uplink's stack is told.
"""

UNTAGGED, ANY = "untagged", "any"
# Larger frames than the uplink's MTU allows end at the NIC.
TOO_LONG = 1600


class Oracle:
    def __init__(self, host, ports):
        self.host = host
        self.queue_of = {name: queue for name, (queue, _) in ports.items()}
        self.filters = {(mac, UNTAGGED): name for name, (_, mac) in ports.items()}
        self.mode = "auto"

    def copy(self):
        o = Oracle(self.host, {})
        o.queue_of, o.filters, o.mode = dict(self.queue_of), dict(self.filters), self.mode
        return o

    def without(self, *queues):
        """The same while these queues' frames come by queue 0."""
        o = self.copy()
        o.queue_of = {owner: 0 if queue in queues else queue for owner, queue in o.queue_of.items()}
        o.queue_of.update(dict.fromkeys(queues, 0))
        return o

    def add(self, owner, mac, vlan):
        """owner: a port's name, or the number of a queue of the administrator's."""
        self.filters[mac, vlan] = owner

    def delete(self, mac, vlan):
        del self.filters[mac, vlan]

    def queue(self, owner):
        return self.queue_of.get(owner, owner)

    def place(self, owner):
        return owner if isinstance(owner, str) else self.queue(owner)

    def claimant(self, group):
        """The port that claims it, in whatever VLAN, or None."""
        owners = {owner for (mac, _), owner in self.filters.items() if mac == group}
        return next((o for o in owners if isinstance(o, str)), None)

    def filtering(self):
        """Does the NIC compare VLANs?"""
        homes = {}
        for (mac, _), owner in self.filters.items():
            if self.queue(owner):
                homes.setdefault(mac, set()).add(self.queue(owner))
        return self.mode == "on" or (self.mode == "auto" and any(len(h) > 1 for h in homes.values()))

    def owner(self, dst, vlan):
        return self.filters.get((dst, vlan), self.filters.get((dst, ANY)))

    def unicast(self, dst, vlan):
        owner = self.owner(dst, vlan)
        if isinstance(owner, str):
            return [{owner}]
        queue = self.queue(owner) if owner else 0
        by_name = (dst, vlan) in self.filters
        # What only a filter for any VLAN claims may come by queue 0 then.
        return [{queue}] + ([{0}] if queue and self.filtering() and not by_name else [])

    def group(self, vlan):
        """A copy for each port of the VLAN, and one up the uplink's stack."""
        if self.filtering() and vlan != UNTAGGED and vlan not in {v for _, v in self.filters}:
            # The emulated NIC has no slot for the VLAN and loses it.
            return [set()]
        members = {owner for (_, v), owner in self.filters.items() if v == vlan and isinstance(owner, str)}
        return [members | {0}]

    def places(self, dst, tag, size):
        if size >= TOO_LONG:
            return [set()]
        vlan = tag or UNTAGGED
        if int(dst[:2], 16) & 1:
            claimant = self.place(self.filters.get((dst, vlan)))
            return [places | ({claimant} if claimant and places else set()) for places in self.group(vlan)]
        if dst == self.host:
            return [{0}]
        return self.unicast(dst, vlan)
