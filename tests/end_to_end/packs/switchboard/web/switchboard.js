export const made = "by the switchboard";
