// What Home shows below the balance: loaded apart, so that the balance comes first.
export { default as MeterFacts } from './MeterFacts.svelte';
export { default as Tier } from './Tier.svelte';
export { default as UsageChart } from './UsageChart.svelte';
