-- Reply: the incarnation of the server that holds the sale.
return incarnation()
