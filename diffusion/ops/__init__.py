"""Operations that networks share: attention, and layers whose weights may be fused."""
