"""An exchange on loopback: any tape, served as real exchanges do, with their faults by script."""
