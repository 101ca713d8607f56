// Time zones by the names that the IANA database has now; browsers still list some by their former ones.
const NOW: Record<string, string> = {
  "Asia/Calcutta": "Asia/Kolkata", "Asia/Katmandu": "Asia/Kathmandu", "Asia/Rangoon": "Asia/Yangon", "Asia/Saigon": "Asia/Ho_Chi_Minh", "Europe/Kiev": "Europe/Kyiv", "America/Buenos_Aires": "America/Argentina/Buenos_Aires",
};

const current = (zone: string) => NOW[zone] ?? zone;

export const zones: readonly string[] = [...new Set(["UTC", ...Intl.supportedValuesOf("timeZone").map(current)])];

export const ownZone = current(Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC");
