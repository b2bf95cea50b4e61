def add_traffic(result, generator, request, public):
    return result
