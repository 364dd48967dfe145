-- Reply: the incarnation of the server that holds the sale, and the epoch of the
-- head, '0' without one.
return {incarnation(), redis.call('HGET', HEAD, 'epoch') or '0'}
