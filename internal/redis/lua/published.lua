-- Published takes orders out of the outbox. ARGV: the orders.
--
-- Reply: 'closed' or 'ok'.
if not open_head() then
  return 'closed'
end
forget(ARGV)
return 'ok'
