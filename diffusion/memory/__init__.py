"""Which weights are on the device: deciding (`plan`), knowing sizes (`estimate`), and doing (`residency`)."""
