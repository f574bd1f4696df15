UPDATE production_order SET state = 'cancelled' WHERE order_no = '4712';
